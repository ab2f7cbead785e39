"""Where studies are stored: in a file of their own, or in the database of SYMBIO_STUDIES."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME

if TYPE_CHECKING:
    import optuna

T = TypeVar("T")

STUDIES_VARIABLE = "SYMBIO_STUDIES"
"""Environment variable: URL of the database of studies that several hosts work on. It may hold a
password, so it is told to nobody."""
DATABASE = "optuna.db"

BEAT_S = 10
"""A worker that trains says so this often."""
SILENCE_S = 60
"""Silence after which a worker of another host counts as lost. By the database's clock."""

_PATIENCE_S = 600.0
_PAUSE_S = 1.0
_LOCKED_S = 60.0


def storage_url(folder: Path) -> str:
    """URL of the storage of the study in `folder`.

    Raises:
        SymbioError: SYMBIO_STUDIES names a database of a kind that several workers cannot share.
    """
    given = os.environ.get(STUDIES_VARIABLE, "").strip()
    if given:
        if given.startswith("postgres://"):
            given = given.replace("postgres://", "postgresql://", 1)
        if given.startswith("postgresql://"):
            given = given.replace("postgresql://", "postgresql+psycopg2://", 1)
        if not given.startswith("postgresql+"):
            raise SymbioError(
                f"{STUDIES_VARIABLE}: names a database of kind {given.split(':')[0]!r}; give a "
                "PostgreSQL URL (postgresql://USER:PASSWORD@HOST/DATABASE), or leave it unset for "
                "a file in the study's folder"
            )
        return given
    # SQLite, since it keeps what is written through a kill; a journal file could hold half a line.
    path = str(folder.resolve() / DATABASE).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{path}"


def open_storage(folder: Path) -> optuna.storages.RDBStorage:
    """The storage of the study in `folder`; made where it is not there.

    Raises:
        SymbioError: see `storage_url`.
    """
    import optuna

    url = storage_url(folder)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options |= {"connect_args": {"timeout": _LOCKED_S}}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with experiments():
        return optuna.storages.RDBStorage(
            url, engine_kwargs=options, heartbeat_interval=BEAT_S, grace_period=SILENCE_S
        )


@contextlib.contextmanager
def experiments() -> Iterator[None]:
    """Use what Optuna calls experimental without its warning: the versions are locked."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # It expects its own loop to keep the heartbeats; here workers do.
        warnings.filterwarnings("ignore", "Heartbeat of storage")
        yield


def patiently(call: Callable[[], T], on_loss: Callable[[], None] = lambda: None) -> T:
    """`call()`, called again for ten minutes while the database is away.

    Args:
        call: may be repeated when it is not known whether it took effect.
        on_loss: called each time that the database was away.

    Raises:
        SymbioError: the database stayed away, exit_code 75.
    """
    deadline, told = time.monotonic() + _PATIENCE_S, False
    while True:
        try:
            return call()
        except Exception as error:
            if not _is_away(error):
                raise
            on_loss()
            if time.monotonic() > deadline:
                raise SymbioError(
                    f"the database of studies stayed away for {_PATIENCE_S:.0f} s ({_why(error)}); "
                    "the same command goes on when it is back",
                    RESUME_ME,
                ) from error
            if not told:
                say(f"the database of studies is away ({_why(error)}); waiting for it")
                told = True
            time.sleep(_PAUSE_S)


def _is_away(error: BaseException | None) -> bool:
    """Whether the database, not the call, is at fault: SQLAlchemy and Optuna wrap its errors."""
    import sqlalchemy.exc

    while error is not None:
        if isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _why(error: Exception) -> str:
    """The kind alone: a message may hold the URL."""
    return type(error.__cause__ or error).__name__
