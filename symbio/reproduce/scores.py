"""Two measurements of one network, metric by metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symbio.tracking.record import flatten

IDENTICAL, WITHIN, DIFFERENT = "identical", "within bound", "different"
"""From the best to the worst."""


@dataclass(frozen=True, slots=True)
class Score:
    """One value of metrics.json, as recorded and as found now."""

    name: str
    recorded: Any
    now: Any

    @property
    def apart(self) -> float:
        """Difference as a share of the recorded value; infinite where that has no meaning.

        Only measured numbers may differ a little: counts, hashes and names may not.
        """
        before, after = self.recorded, self.now
        if before == after:
            return 0.0
        if not isinstance(before, float) or not isinstance(after, float):
            return math.inf
        if math.isnan(before) and math.isnan(after):
            return 0.0
        return abs(after - before) / abs(before) if before else math.inf

    def verdict(self, bound: float) -> str:
        """One of IDENTICAL, WITHIN and DIFFERENT."""
        if self.apart == 0.0:
            return IDENTICAL
        return WITHIN if self.apart <= bound else DIFFERENT


def scores_of(recorded: Mapping[str, Any], now: Mapping[str, Any], part: str = "") -> list[Score]:
    """Every value of two metrics files, by dotted names.

    Args:
        recorded: content of the one.
        now: of the other.
        part: only values whose names begin so ("trained."), apart from identities.
    """
    before, after = flatten(recorded), flatten(now)
    return [
        Score(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if name.startswith(part)
    ]


def worst(verdicts: list[str]) -> str:
    """The worst of these; IDENTICAL where there are none."""
    order = (IDENTICAL, WITHIN, DIFFERENT)
    return max(verdicts, key=order.index, default=IDENTICAL)
