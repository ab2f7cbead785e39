"""One at a time: whoever wants to run the same stage of the same checkout waits, and says so."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_LOOK_S = 1.0


@contextlib.contextmanager
def turn(path: Path, who: str, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock file `path` inside the block; yields its descriptor.

    A process that inherits the descriptor holds the lock too, so that the work of a flow that was
    killed keeps its turn until it has really ended. A lock dies with its last holder.

    Args:
        path: the lock file; what stands in it tells others who holds it.
        who: name of the run that wants the turn.
        say: is told once if, and for whom, this has to wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        waited = False
        while not _taken(descriptor):
            if not waited:
                say(f"waiting: {path.stem} is being run by {_holder(path)}")
                waited = True
            time.sleep(_LOOK_S)
        if waited:
            say(f"{path.stem} is free")
        _sign(descriptor, who)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, who: str) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    text = json.dumps({"who": who, "pid": os.getpid(), "host": socket.gethostname(), "at": since})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(path: Path) -> str:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"{told['who']} (process {told['pid']} on {told['host']}, since {told['at']})"
    except (OSError, ValueError, KeyError):
        return "another process"
