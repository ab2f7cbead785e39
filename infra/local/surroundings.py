"""Environment variables of the platform's processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.ports import HOST, Ports
from infra.local.secret import Secrets
from infra.tracking.accounts import READER, WRITER

DATA_BUCKET = "symbio-data"
ARTIFACT_BUCKET = "symbio-mlflow"
_DVC_REMOTE = f"s3://{DATA_BUCKET}/dvc"
STUDIES = "optuna"
"""Database of studies, and the role that owns it: workers of studies log in as this one."""

_NOBODY_IS_TOLD = {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
# Another platform's settings in the shell would send our processes there.
_OTHERS = ("PREFECT_", "MLFLOW_", "AWS_", "PG", "WEED_", "UVICORN_", "GUNICORN_")


def plain(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What every process of the platform gets: the shell's variables, without other platforms'.

    The programs of this Python's environment come first on PATH, and no proxy stands between two
    processes of one machine.
    """
    kept = {name: text for name, text in inherited.items() if not name.startswith(_OTHERS)}
    programs = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join([programs, kept.get("PATH", os.defpath)])
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, [kept.get(name), HOST, "localhost"]))
    return kept | _NOBODY_IS_TOLD | {"PYTHONUNBUFFERED": "1"}


def s3_client(ports: Ports, key_id: str, secret: str) -> dict[str, str]:
    """What a client of the S3 store needs: where it is and with which keys."""
    url = f"http://{HOST}:{ports.s3}"
    return {
        "MLFLOW_S3_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def clients(ports: Ports, secrets: Secrets) -> dict[str, str]:
    """What a client of the whole platform needs: a worker, its flows, another shell."""
    return {
        "PREFECT_API_URL": f"http://{HOST}:{ports.prefect}/api",
        **_mlflow_client(ports, WRITER, secrets.mlflow_writer),
        **s3_client(ports, secrets.s3_key_id, secrets.s3_secret),
        "SYMBIO_DVC_REMOTE": _DVC_REMOTE,
        # Without the password, which is nobody's business on a command line or in a message.
        "SYMBIO_STUDIES": f"postgresql+psycopg2://{STUDIES}@{HOST}:{ports.postgres}/{STUDIES}",
        "PGPASSWORD": secrets.studies_password,
    }


def readers(ports: Ports, secrets: Secrets) -> dict[str, str]:
    """What somebody needs who looks at runs, and uses models and data, but changes nothing."""
    return {
        **_mlflow_client(ports, READER, secrets.mlflow_reader),
        **s3_client(ports, secrets.s3_reader_key_id, secrets.s3_reader_secret),
        "SYMBIO_DVC_REMOTE": _DVC_REMOTE,
    }


def _mlflow_client(ports: Ports, account: str, password: str) -> dict[str, str]:
    return {
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{ports.mlflow}",
        # Not in the address, which is shown.
        "MLFLOW_TRACKING_USERNAME": account,
        "MLFLOW_TRACKING_PASSWORD": password,
    }
