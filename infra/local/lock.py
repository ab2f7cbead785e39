"""One platform in a state folder at a time."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import psutil

from symbio.errors import SymbioError

_PATIENCE_S = 15.0
"""What a killed platform left is gone within this time."""


def take(path: Path) -> int:
    """Lock a file; returns its descriptor, with which the lock is given back when it is closed.

    The guards of the services hold the lock too: it is free when the last of them has ended.

    Raises:
        SymbioError: another platform runs here; names its process number.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            holder = os.pread(descriptor, 32, 0).decode().strip()
            runs = holder.isdigit() and psutil.pid_exists(int(holder))
            if runs or time.monotonic() > until:
                os.close(descriptor)
                raise SymbioError(
                    f"a platform already runs in {path.parent}: PID {holder or 'unknown'}. Use "
                    "it, or stop it with Ctrl-C or SIGTERM"
                ) from None
            time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
