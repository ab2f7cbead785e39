"""prefect.toml: how `prefect`, typed in the project's folder, finds the platform's server."""

from __future__ import annotations

from pathlib import Path

from symbio.files import whole_file

_NAME = "prefect.toml"
_OURS = "# Written by the local platform, and removed when it stops."


def name_server(root: Path, url: str) -> bool:
    """Name the server's API in the project `root`; False if a file of somebody else's is there."""
    if not _is_ours_or_none(root / _NAME):
        return False
    with whole_file(root / _NAME) as aside:
        aside.write_text(f'{_OURS}\n[api]\nurl = "{url}"\n', encoding="utf-8")
    return True


def unname_server(root: Path) -> None:
    """Take the name away again."""
    if _is_ours_or_none(root / _NAME):
        (root / _NAME).unlink(missing_ok=True)


def _is_ours_or_none(path: Path) -> bool:
    return not path.is_file() or path.read_text(encoding="utf-8").startswith(_OURS)
