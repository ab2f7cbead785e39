"""One worker decides at a time: which trial comes next, and whose it is."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from symbio.search.storage import storage_url

Turn = Callable[[], AbstractContextManager[None]]
"""Held while a worker decides; the kernel or the database gives it back when its holder dies."""

_FILE = "turn.lock"


def turn_of(folder: Path, name: str) -> Turn:
    """The turn of study `name`: a lock of its database, or of a file where the study is one."""
    url = storage_url(folder)
    if url.startswith("sqlite"):
        return lambda: _file_lock(folder / _FILE)
    return lambda: _advisory_lock(url, name)


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _advisory_lock(url: str, name: str) -> Iterator[None]:
    """A lock of PostgreSQL's, which goes with the connection that took it."""
    import sqlalchemy

    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": number})
        yield
