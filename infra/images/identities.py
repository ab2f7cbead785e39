"""Who may do what in the S3 store: the file that SeaweedFS takes as -s3.config.

    python infra/images/identities.py FILE

writes it from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY may do everything,
S3_READER_KEY_ID and S3_READER_SECRET may read.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "S3_READER_KEY_ID",
    "S3_READER_SECRET",
)


def identities(key_id: str, secret: str, reader_key_id: str, reader_secret: str) -> str:
    """The file's text."""
    return json.dumps(
        {
            "identities": [
                _identity("symbio", key_id, secret, ["Admin", "Read", "Write", "List", "Tagging"]),
                _identity("reader", reader_key_id, reader_secret, ["Read", "List"]),
            ]
        }
    )


def _identity(name: str, key_id: str, secret: str, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": key_id, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": actions}


def main(path: Path) -> int:
    """Write the file, for its owner alone; returns the exit code."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        print(f"set {', '.join(missing)}: the S3 store lets everybody in without", file=sys.stderr)
        return 2
    path.touch(mode=0o600)
    path.write_text(identities(*(os.environ[name] for name in VARIABLES)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
