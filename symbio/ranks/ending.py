"""How ranks end: exit codes, and the last words that a launcher collects."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from symbio.files import read_json, write_json

RESUME_ME = 75
"""Exit code (EX_TEMPFAIL) of a run that did not come to its end: the same command continues it."""

ERRORS_VARIABLE = "SYMBIO_ERRORS"
"""Environment variable: the folder where `symbio train` collects its ranks' last words."""


def write_error(rank: int, kind: str, message: str) -> None:
    """Leave a rank's last words where `symbio train` finds them; without it, do nothing."""
    folder = os.environ.get(ERRORS_VARIABLE)
    if folder is not None:
        error = {"rank": rank, "kind": kind, "message": message, "time": time.time()}
        write_json(Path(folder) / f"rank-{rank}.json", error)


def first_error(folder: Path | str | None) -> dict[str, Any] | None:
    """The cause of a failure: a user's error before a program's, then the earliest."""
    if folder is None:
        return None
    errors = [read_json(path, "a rank's error") for path in Path(folder).glob("rank-*.json")]
    return min(errors, key=lambda e: (e["kind"] != "SymbioError", e["time"]), default=None)
