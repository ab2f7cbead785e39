"""How a run stands or ended: checkpoints/{dataset}/status.json, and the exit codes.

A launcher's exit code says little (torchrun ends with 1 even when every rank saved and left in
order), so the file is the truth and the codes only repeat it.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Literal

from symbio.files import read_json, write_json

State = Literal["running", "finished", "preempted", "interrupted", "failed"]

RESUME_ME = 75
"""Exit code (EX_TEMPFAIL) of a run that stopped on request: the same command continues it."""

EXIT_CODES: dict[str, int] = {
    "finished": 0,
    "preempted": RESUME_ME,
    "interrupted": RESUME_ME,
    "failed": 1,
}

STATUS_FILE = "status.json"


def write_status(folder: Path, state: State, **facts: Any) -> dict[str, Any]:
    """Write the status of the run in `folder`, whole, and return it."""
    status = {
        **facts,
        "state": state,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "updated": round(time.time(), 3),
    }
    write_json(folder / STATUS_FILE, status)
    return status


def read_status(folder: Path) -> dict[str, Any] | None:
    """The status of the run in `folder`, or None where there is none."""
    path = folder / STATUS_FILE
    if not path.is_file():
        return None
    status: dict[str, Any] = read_json(path, "the status of a training run")
    return status


ERRORS_VARIABLE = "SYMBIO_ERRORS"
"""Environment variable: the folder where `symbio train` collects its ranks' last words."""


RENDEZVOUS_VARIABLE = "SYMBIO_RENDEZVOUS_FD"
"""Environment variable: rank 0's inherited listening socket at MASTER_PORT; any text elsewhere."""


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
