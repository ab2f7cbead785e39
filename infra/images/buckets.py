"""Make the buckets of the S3 store that the environment names, and see that it asks for keys.

    python infra/images/buckets.py symbio-data symbio-mlflow

Ends with 75 while the store does not answer, with 2 if it lets anybody in or refuses the keys.
"""

from __future__ import annotations

import sys
from typing import Any

from symbio.errors import SymbioError
from symbio.ranks.ending import MISTAKE, RESUME_ME

_ATTEMPTS = 20
"""With botocore's pauses in between: more than two minutes, in which a store has started."""


def make_buckets(names: list[str], endpoint: str | None = None) -> None:
    """Make every bucket that is not there yet.

    Args:
        names: of the buckets.
        endpoint: URL of the store; None: what AWS_ENDPOINT_URL_S3 says.

    Raises:
        SymbioError: the store does not answer, refuses the credentials, or asks for none.
    """
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
    )

    patient = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS})
    store = boto3.client("s3", endpoint_url=endpoint, config=patient)
    url = store.meta.endpoint_url
    try:
        there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
        for name in names:
            if name not in there:
                store.create_bucket(Bucket=name)
            print(f"{url}/{name}: {'was there' if name in there else 'made'}")
    except NoCredentialsError:
        raise SymbioError(
            "S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", exit_code=MISTAKE
        ) from None
    except ClientError as error:
        code = RESUME_ME if _status(error) >= 500 else MISTAKE
        raise SymbioError(f"S3 at {url}: {error}", exit_code=code) from None
    except BotoCoreError as error:
        raise SymbioError(f"S3 at {url} does not answer: {error}", exit_code=RESUME_ME) from None
    anybody = boto3.client(
        "s3", endpoint_url=endpoint, config=patient.merge(Config(signature_version=UNSIGNED))
    )
    try:
        anybody.list_objects_v2(Bucket=names[0])
    except ClientError:
        return
    raise SymbioError(
        f"S3 at {url} lets anybody in: it was started without AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY; set both for the store too",
        exit_code=MISTAKE,
    )


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


if __name__ == "__main__":
    try:
        make_buckets(sys.argv[1:])
    except SymbioError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
