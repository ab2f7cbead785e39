"""One dimension of a search's space: its values, and how one of them is drawn."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from symbio.params import DimensionParams

if TYPE_CHECKING:
    import optuna


def values_of(dimension: DimensionParams) -> tuple[Any, ...] | None:
    """All values of a dimension in order; None for a range of numbers without steps."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if low is None or high is None:
        return dimension.choices
    if dimension.type == "int":
        return tuple(range(int(low), int(high) + 1, int(step or 1)))
    if step is None:
        return None
    # In decimals: 0.1 + 2 x 0.1 is the 0.3 that a reader expects.
    first, width = Decimal(str(low)), Decimal(str(step))
    count = int((Decimal(str(high)) - first) / width) + 1
    return tuple(float(first + index * width) for index in range(count))


def contains(dimension: DimensionParams, value: Any) -> bool:
    """Whether a trial could draw `value`."""
    low, high, step = dimension.low, dimension.high, dimension.step
    if low is None or high is None:
        return value in dimension.choices
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        return False
    if dimension.type == "int":
        return isinstance(value, int) and (value - int(low)) % int(step or 1) == 0
    steps = 0.0 if step is None else (value - low) / step
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def suggest(trial: optuna.Trial, key: str, dimension: DimensionParams) -> Any:
    """The value that the study's sampler gives `trial`."""
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if low is None or high is None:
        return trial.suggest_categorical(key, dimension.choices)
    if dimension.type == "int":
        return trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log)
    drawn = trial.suggest_float(key, low, high, step=step, log=log)
    if step is None:
        return drawn
    # Optuna's own sum of steps ends in digits that nobody wrote.
    return float(Decimal(str(low)) + round((drawn - low) / step) * Decimal(str(step)))


def at(dimension: DimensionParams, share: float) -> Any:
    """The value below which `share` (0 up to, not including, 1) of a dimension's draws lie."""
    values = None if dimension.log else values_of(dimension)
    if values is not None:
        return values[int(share * len(values))]
    low, high = dimension.low, dimension.high
    assert low is not None
    assert high is not None
    if not dimension.log:
        return low + share * (high - low)
    if dimension.type == "int":
        # Each whole number has the room of half a step on either side.
        first, last = math.log(low - 0.5), math.log(high + 0.5)
        return min(max(round(math.exp(first + share * (last - first))), int(low)), int(high))
    return min(max(math.exp(math.log(low) + share * math.log(high / low)), low), high)
