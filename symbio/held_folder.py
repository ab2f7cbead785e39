"""A folder for what is not finished: one run at a time, and only for what it was begun with."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from symbio.errors import SymbioError


@contextlib.contextmanager
def held_folder(parent: Path, name: str, verb: str) -> Iterator[Path]:
    """Make and yield `parent`/`name`, which no other process holds until the block ends.

    Args:
        parent: hidden folder of the stage and data set.
        name: says what the work is made from; folders of other names in `parent` are removed.
        verb: that works there, for messages.

    Raises:
        SymbioError: another run is at work there, or the place cannot be written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        lock = (parent / "lock").open("w")
    except OSError as error:
        raise SymbioError(f"{parent}: cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SymbioError(
                f"{parent}: another `symbio {verb}` is at work there; wait for it or stop it"
            ) from error
        for other in parent.iterdir():
            if other.is_dir() and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
        work = parent / name
        work.mkdir(exist_ok=True)
        yield work
