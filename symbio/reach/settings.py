"""How patient the clients of S3 are: MLflow's (boto3) and DVC's (aiobotocore).

With 14 attempts of the mode "standard" a request is tried for 96 s on average, and for less than
30 s in one of 50,000 outages; the default gives up after about 3 s. The mode "adaptive" adds only
a brake against throttling; "legacy" ignores some failures and waits without a limit.
"""

from __future__ import annotations

import os

PATIENT_S3 = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "14"}
"""Environment variables of botocore; what the user set stays."""

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60


def be_patient() -> None:
    """Let S3 clients of this process, and of its children, outlast an outage of half a minute."""
    for name, value in PATIENT_S3.items():
        os.environ.setdefault(name, value)


def limit_waiting() -> None:
    """Let no attempt of boto3's wait for a host that swallows packets (a minute by default).

    MLflow builds its client out of boto3's default session; no variable sets these limits.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    if boto3.DEFAULT_SESSION is not None:
        return
    session = botocore.session.get_session()
    session.set_default_client_config(
        Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, tcp_keepalive=True)
    )
    boto3.setup_default_session(botocore_session=session)
