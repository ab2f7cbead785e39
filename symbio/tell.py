"""What a command tells whoever started it: how far it is, and how it ended.

Between a flow and a stage stands DVC, which passes on neither a stage's exit code nor its progress.
A flow therefore names a folder in SYMBIO_TELL; without that variable nothing is written. What
cannot be written is left out: telling never disturbs the work.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json

TELL_VARIABLE = "SYMBIO_TELL"
"""Environment variable: the folder to tell to."""

_PROGRESS, _ENDING = "progress.json", "ending.json"
_EVERY_S = 0.5
_told_at = -_EVERY_S


def tell_progress(what: str, done: int, total: int | None) -> None:
    """Tell that `done` of `total` (None: not known) are done; passed over if told just now.

    Costs microseconds when passed over, so it may be called at every step.
    """
    global _told_at
    if TELL_VARIABLE not in os.environ:
        return
    now = time.monotonic()
    if now - _told_at < _EVERY_S and done != total:
        return
    _told_at = now
    _tell(_PROGRESS, {"what": what, "done": done, "total": total, "time": time.time()})


def tell_ending(verb: str, exit_code: int, message: str) -> None:
    """Tell how the command ended; `message` is empty where all went well."""
    _tell(_ENDING, {"verb": verb, "exit_code": exit_code, "message": message})


def read_progress(folder: Path) -> dict[str, Any] | None:
    """`what`, `done`, `total` and `time` (seconds since 1970) as last told, or None."""
    return _read(folder / _PROGRESS)


def read_ending(folder: Path) -> dict[str, Any] | None:
    """`verb`, `exit_code` and `message`, or None: the command has not ended, or was killed."""
    return _read(folder / _ENDING)


def _tell(name: str, values: dict[str, Any]) -> None:
    """Write a file whole; not by `symbio.files`, which waits for the disk."""
    folder = os.environ.get(TELL_VARIABLE)
    if not folder:
        return
    path = Path(folder) / name
    aside = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(values), encoding="utf-8")
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = read_json(path, "what a command told")
    except SymbioError:
        return None
    return values
