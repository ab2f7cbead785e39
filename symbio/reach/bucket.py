"""A place in S3, tried with a tiny object."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from symbio.reach.failure import failed_check

KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")

_TIMEOUT_S = 4
_ATTEMPTS = 2
_LOOK_AGAIN_S = 0.25


def check_bucket(
    url: str,
    what: str,
    variables: Sequence[str],
    arguments: Mapping[str, Any] | None = None,
    s3: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> None:
    """List, write, look at and delete an object of a few bytes below `url`.

    Listed first: some stores make a missing bucket when an administrator writes to it.

    Args:
        url: "s3://bucket/prefix".
        what: what is kept there, for the message.
        variables: environment variables that decide about the place, for the message.
        arguments: of `boto3.client`; what is left out, the environment says.
        s3: botocore's settings of that name, e.g. `addressing_style`.
        profile: of the shared credentials file; None: what AWS_PROFILE says.

    Raises:
        SymbioError: it cannot be done; exit code 75 if the store is away, else 2.
    """
    import boto3
    from botocore.config import Config

    bucket, prefix = urlsplit(url).netloc, urlsplit(url).path.strip("/")
    key = "/".join(filter(None, (prefix, f".symbio-reach-{uuid.uuid4().hex}")))
    config = Config(
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        s3=dict(s3 or {}),
    )
    endpoint = None
    try:
        session = boto3.session.Session(profile_name=profile)
        client = session.client("s3", config=config, **(arguments or {}))
        endpoint = client.meta.endpoint_url
        client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        try:
            written = client.put_object(Bucket=bucket, Key=key, Body=b"symbio reach\n")
            client.head_object(Bucket=bucket, Key=key)
        except Exception:
            with contextlib.suppress(Exception):
                client.delete_object(Bucket=bucket, Key=key)
            raise
        client.delete_object(Bucket=bucket, Key=key)
        if written["ResponseMetadata"].get("RetryAttempts"):
            _keep_deleted(client, bucket, key)
    except Exception as error:
        # botocore has more than forty kinds of errors with no useful family.
        place = f"{url} ({what}) at {endpoint}" if endpoint else f"{url} ({what})"
        sentence = f"{place} cannot be written"
        raise failed_check(error, sentence, endpoint, [*variables, *KEY_VARIABLES]) from error


def _keep_deleted(client: Any, bucket: str, key: str) -> None:
    """Delete the object again if it comes back within the time that one request may take.

    A busy store may carry out a write that the client has given up on after the repeated write,
    and even after the deletion.
    """
    until = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < until:
        time.sleep(_LOOK_AGAIN_S)
        if client.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"]:
            client.delete_object(Bucket=bucket, Key=key)
