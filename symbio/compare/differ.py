"""The frames on which networks differ most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from symbio.compare.measured import Measured
from symbio.evaluate.metrics import METRICS

_SHOWN = 3
"""Frames of the greatest gains, and of the greatest losses."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, and what each made of it."""

    key: str
    values: list[float]
    """Of each subject, by the metric; NaN where a prediction was no number."""
    gain: float
    """Of the one that differs most from the first; positive: it is better."""


def frames_that_differ(measured: Sequence[Measured], metric: str) -> list[Frame]:
    """The frames of the greatest gains over the first, then those of the greatest losses.

    Args:
        measured: of each subject, measured alike.
        metric: with a column in the tables of frames.

    Returns:
        At most three of each kind, the greatest first; none where one has no table of frames.
    """
    frames = _frames(measured, metric)
    gained = sorted((one for one in frames if one.gain > 0), key=lambda one: (-one.gain, one.key))
    lost = sorted((one for one in frames if one.gain < 0), key=lambda one: (one.gain, one.key))
    return [*gained[:_SHOWN], *lost[:_SHOWN]]


def values_of(measured: Sequence[Measured], key: str, metric: str) -> list[float | None]:
    """What each made of a frame; None where there is no number."""
    values = [_value((one.frames or {}).get(key, {}).get(f"trained_{metric}")) for one in measured]
    return [value if math.isfinite(value) else None for value in values]


def _frames(measured: Sequence[Measured], metric: str) -> list[Frame]:
    tables = [one.frames for one in measured]
    first = tables[0]
    if first is None or any(table is None or table.keys() != first.keys() for table in tables):
        return []
    found = []
    for key, row in first.items():
        if int(row["pixels"]) > 0:
            values = [_value((table or {})[key].get(f"trained_{metric}")) for table in tables]
            gains = [_gain(one, values[0], METRICS[metric].higher_is_better) for one in values[1:]]
            found.append(Frame(key, values, max(gains, key=abs)))
    return found


def _gain(value: float, reference: float, higher_is_better: bool) -> float:
    """A prediction that is no number is worse than any."""
    if math.isnan(value) or math.isnan(reference):
        return math.inf * (math.isnan(reference) - math.isnan(value)) if value != reference else 0.0
    return value - reference if higher_is_better else reference - value


def _value(text: str | None) -> float:
    return math.nan if text is None else float(text)
