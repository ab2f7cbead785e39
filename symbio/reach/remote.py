"""The DVC remote: where it is, and whether it can be reached and written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.reach.bucket import check_bucket
from symbio.reach.failure import failed_check
from symbio.reach.folder import check_folder
from symbio.reach.reached import Reached, reached
from symbio.tracking.outage import without_secrets

REMOTE_VARIABLE = "SYMBIO_DVC_REMOTE"
"""Environment variable: URL of the remote; it goes before the one that DVC is configured with."""
ENV_REMOTE = "symbio-environment"
"""What DVC calls the remote of the environment variable."""

_WHAT = "DVC remote"
_S3_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_CLIENT_ARGUMENTS = {
    "endpointurl": "endpoint_url",
    "region": "region_name",
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
    "ssl_verify": "verify",
}
"""Names of a remote's settings in DVC, and of `boto3.client`'s arguments."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A DVC remote."""

    name: str
    url: str
    """With a scheme, or the absolute path of a folder."""
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What DVC's configuration says besides; may hold secrets."""

    def __str__(self) -> str:
        return without_secrets(self.url)


def find_remote(root: Path) -> Remote | None:
    """The remote of SYMBIO_DVC_REMOTE, else DVC's default remote, else None.

    Raises:
        SymbioError: DVC's configuration is not readable.
    """
    url = os.environ.get(REMOTE_VARIABLE, "").strip()
    if url:
        return Remote(ENV_REMOTE, url if "://" in url else str((root / url).resolve()))
    if not (root / ".dvc").is_dir():
        return None
    from dvc.config import Config, ConfigError

    try:
        config = Config(str((root / ".dvc").resolve()))
        name = config["core"].get("remote")
        settings = dict(config["remote"][name]) if name else {}
    except ConfigError as error:
        raise SymbioError(f"{root / '.dvc' / 'config'}: {error}") from error
    except KeyError as error:
        raise SymbioError(
            f"{root / '.dvc' / 'config'}: the default remote {name!r} is not configured; "
            f"`dvc remote add {name} URL`, or set {REMOTE_VARIABLE}"
        ) from error
    return Remote(name, str(settings.pop("url")), settings) if name else None


def require_remote(root: Path) -> list[Reached]:
    """The DVC remote, reached and written; empty where none is configured.

    Raises:
        SymbioError: it cannot be: exit code 75 if it is away, else 2.
    """
    remote = find_remote(root)
    if remote is None:
        return []
    return [reached(_WHAT, str(remote), lambda: _check(root, remote))]


def _check(root: Path, remote: Remote) -> None:
    if remote.url.startswith("s3://"):
        named = _CLIENT_ARGUMENTS.items()
        arguments = {ours: remote.settings[key] for key, ours in named if key in remote.settings}
        variables = (REMOTE_VARIABLE, *_S3_VARIABLES)
        profile = remote.settings.get("profile")
        check_bucket(remote.url, _WHAT, variables, arguments, profile=profile)
    elif "://" not in remote.url:
        check_folder(Path(remote.url), _WHAT)
    else:
        _check_by_dvc(root, remote)


def _check_by_dvc(root: Path, remote: Remote) -> None:
    """Any other kind: DVC decides whether it answers."""
    from dvc.repo import Repo

    try:
        given = {"remote": {remote.name: {"url": remote.url, **remote.settings}}}
        with Repo(str(root), config=given) as repo:
            files = repo.cloud.get_remote_odb(remote.name)
            files.fs.exists(files.path)
    except Exception as error:
        what = f"{remote} ({_WHAT}) does not answer as it should"
        raise failed_check(error, what, remote.url, (REMOTE_VARIABLE,)) from error
