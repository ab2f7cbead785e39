"""An end to waiting, whatever a library waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from symbio.errors import SymbioError
from symbio.ranks.ending import RESUME_ME

DEADLINE_S = 20.0

T = TypeVar("T")


def within(seconds: float, what: str, work: Callable[[], T]) -> T:
    """Do `work`, at most for `seconds`; raises what it raises.

    Not every wait has a limit of its own (a name server, a database driver), so the work is done
    in a thread that is left behind when its time is up; it does not keep the process alive.

    Raises:
        SymbioError: with exit code 75: no answer in time. The message begins with `what`.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise SymbioError(
            f"{what}: no answer within {seconds:.0f} s; the host is away or a firewall swallows "
            "the packets; the same command goes on when it is back",
            RESUME_ME,
        )
    return results[0]
