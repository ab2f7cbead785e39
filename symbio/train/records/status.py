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
from symbio.ranks.ending import RESUME_ME

State = Literal["running", "finished", "preempted", "interrupted", "abandoned", "failed"]

EXIT_CODES: dict[str, int] = {
    "finished": 0,
    "preempted": RESUME_ME,
    "interrupted": RESUME_ME,
    "abandoned": 0,
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
