"""What a check found."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from symbio.reach.deadline import DEADLINE_S, within


@dataclass(frozen=True, slots=True)
class Reached:
    """A place that can be used."""

    what: str
    where: str
    seconds: float
    """How long the check took."""

    def __str__(self) -> str:
        return f"{self.what}: {self.where} ({self.seconds:.1f} s)"


def reached(what: str, where: str, check: Callable[[], object]) -> Reached:
    """Run a check against the clock.

    Raises:
        SymbioError: what `check` raises, or exit code 75: no answer within 20 s.
    """
    begun = time.monotonic()
    within(DEADLINE_S, f"{where} ({what})", check)
    return Reached(what, where, time.monotonic() - begun)
