"""Metrics side by side: values, and each one's gain over the first with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbio.compare.measured import Measured
from symbio.errors import SymbioError
from symbio.evaluate.metrics import metric_named
from symbio.evaluate.paired import Interval, gain_interval
from symbio.evaluate.protocol import protocol_named


@dataclass(frozen=True, slots=True)
class Gain:
    """What one has over the first; positive: it is better."""

    gain: float | None
    """In the metric's unit; None where one of the two is not a number."""
    share: float | None
    """Of the first's value."""
    interval: Interval | None
    """95 %, frames resampled in pairs."""
    why_not: str
    """Why there is no interval; empty where there is one."""

    @property
    def certain(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.interval is not None and self.interval.low * self.interval.high > 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of all."""

    name: str
    higher_is_better: bool
    unit: str
    values: list[float | None]
    """Of each subject."""
    gains: list[Gain]
    """Of each but the first."""


def metrics_compared(measured: Sequence[Measured], left_out: Sequence[str]) -> list[Compared]:
    """Every metric that all have: the protocol's in their order, then those of classes.

    Args:
        measured: of each subject, measured alike.
        left_out: beginnings of names that cannot be compared, as "pseudo_".
    """
    first, *others = measured
    known = first.metrics["trained"]
    ordered = dict.fromkeys((*protocol_named(first.metrics["protocol"]).metrics, *sorted(known)))
    return [
        _compared(name, first, others)
        for name in ordered
        if name in known
        and _is_metric(name)
        and not name.startswith(tuple(left_out))
        and all(name in other.metrics["trained"] for other in others)
    ]


def _is_metric(name: str) -> bool:
    try:
        metric_named(name)
    except SymbioError:
        return False
    return True


def _compared(name: str, first: Measured, others: Sequence[Measured]) -> Compared:
    metric = metric_named(name)
    values = [one.metrics["trained"][name] for one in (first, *others)]
    gains = [_gain(name, metric.higher_is_better, first, other) for other in others]
    return Compared(name, metric.higher_is_better, metric.unit, values, gains)


def _gain(name: str, higher_is_better: bool, first: Measured, other: Measured) -> Gain:
    value, reference = (one.metrics["trained"][name] for one in (other, first))
    gain = share = None
    if value is not None and reference is not None:
        gain = value - reference if higher_is_better else reference - value
        share = gain / abs(reference) if reference else None
    sides = ((one.metrics, one.frames) for one in (other, first))
    interval = gain_interval(name, *sides)
    if isinstance(interval, str):
        return Gain(gain, share, None, interval)
    return Gain(gain, share, interval, "")
