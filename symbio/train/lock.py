"""One run at a time in a checkpoint folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from symbio.errors import SymbioError


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the run in `folder` for the length of the block.

    The lock is the kernel's (POSIX record lock): it goes with the process however that ends, so a
    stale one is taken over by itself, and it is not inherited by forked workers. The file beside
    the folder says who holds it.

    Raises:
        SymbioError: another process holds it; names its PID, host and since when.
    """
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SymbioError(
                f"{folder}: another run is training there ({_holder(descriptor)}); "
                "wait for it, or stop it"
            ) from error
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"PID {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has not yet said who it is"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
