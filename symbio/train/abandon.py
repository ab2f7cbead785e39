"""The note by which a launcher tells its ranks that nobody wants their training any more.

A file in the run's folder, since the ranks may be on other hosts. Rank 0 looks for it at each
step and tells the others. It names the start of the run that it is meant for, so that one left
behind by a killed launcher stops no later start.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import read_json, write_json

_FILE = "abandon.json"


def abandon(run: Path, run_id: str) -> None:
    """Ask the ranks of the start `run_id` to leave.

    Raises:
        SymbioError: the disk is full, or the folder cannot be written.
    """
    write_json(run / _FILE, {"run": run_id})


def abandoned(run: Path, run_id: str | None) -> bool:
    """Whether the start `run_id` was asked to leave; None: started by nobody who could ask."""
    path = run / _FILE
    if run_id is None or not path.is_file():
        return False
    with contextlib.suppress(SymbioError, OSError):
        return bool(read_json(path, "a request to leave").get("run") == run_id)
    return False


def forget(run: Path, run_id: str) -> None:
    """Take the note to the start `run_id` away, if there is one."""
    if abandoned(run, run_id):
        (run / _FILE).unlink(missing_ok=True)


def forget_others(run: Path, run_id: str | None) -> None:
    """Take away a note to another start than `run_id`, which holds the run's lock."""
    if not abandoned(run, run_id):
        (run / _FILE).unlink(missing_ok=True)
