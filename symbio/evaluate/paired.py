"""Is a gain more than noise? A paired bootstrap over the frames that both networks were scored on.

Some frames are hard for every network, so the spread of the scores says little about a difference;
the spread of the frames' differences does. Frames of one scene resemble each other: the interval
is then narrower than it would be over scenes, and says nothing of scenes that were not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.evaluate.metrics import Metric, metric_named

RESAMPLES = 10_000
SEED = 0
LEVEL = 0.95

_AT_ONCE = 1_000_000
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the gain lies, in the metric's own unit; positive: the candidate is better."""

    low: float
    high: float
    gain: float
    """Over the frames as they are."""
    num_frames: int
    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = SEED


def paired_interval(gains: NDArray[np.float64], weights: NDArray[np.float64]) -> Interval:
    """Percentile interval of the weighted mean gain under resampling of frames with return.

    Args:
        gains: (N,) each frame's gain.
        weights: (N,) positive weights: 1 for a mean of frames, pixels for a pooled mean.

    Returns:
        The 2.5 % and 97.5 % quantiles of `RESAMPLES` resampled means, always the same for the
        same arguments.
    """
    draw = np.random.default_rng(SEED)
    count = len(gains)
    weighted = gains * weights
    means = np.empty(RESAMPLES)
    rows = max(1, _AT_ONCE // count)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        chosen = draw.integers(0, count, (size, count))
        means[start : start + size] = weighted[chosen].sum(1) / weights[chosen].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), float(weighted.sum() / weights.sum()), count)


Frames = Mapping[str, Mapping[str, str]]
"""Key of a frame -> its row of per_image.csv."""


def gain_interval(
    name: str,
    candidate: tuple[Mapping[str, Any], Frames | None],
    reference: tuple[Mapping[str, Any], Frames | None],
) -> Interval | str:
    """The interval of the gain in a metric, or why there is none.

    Args:
        name: of the metric, as in a metrics file: `abs_rel`, `truth_miou`.
        candidate: metrics file and table of frames; the gain is positive where it is better.
        reference: those of the network that it is compared with, measured alike.
    """
    metric = metric_named(name)
    value, other = (metrics["trained"].get(name) for metrics, _ in (candidate, reference))
    if candidate[1] is None or reference[1] is None:
        return "there is no table of single frames"
    if value is None or other is None:
        return f"{name} is not a number"
    if name != metric.name:
        return f"{name} has no value for single frames"
    pooled = candidate[0]["aggregation"] == "pooled"
    found = gains_of(metric, candidate[1], reference[1], pooled)
    if isinstance(found, str):
        return found
    interval = paired_interval(*found)
    difference = value - other if metric.higher_is_better else other - value
    if not reproduces(interval, difference, other):
        return f"{name} is no mean over the frames of the tables"
    return interval


def gains_of(
    metric: Metric, candidate: Frames, reference: Frames, pooled: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | str:
    """Gain and weight of each frame with depth, both (N,); or why there are none.

    Args:
        metric: one that the tables have a column `trained_{name}` of.
        candidate: rows of the network whose gain it is.
        reference: rows of the network that it is compared with.
        pooled: whether the protocol averages over pixels instead of frames.
    """
    if candidate.keys() != reference.keys():
        return "their tables are of different frames"
    column = f"trained_{metric.name}"
    if not all(column in row for rows in (candidate, reference) for row in rows.values()):
        return f"{metric.name} has no value for single frames"
    keys = sorted(key for key, row in candidate.items() if int(row["pixels"]) > 0)
    if not keys:
        return "no frame has depth"
    gains = _column(candidate, keys, column) - _column(reference, keys, column)
    weights = _column(candidate, keys, "pixels") if pooled else np.ones(len(keys))
    return gains if metric.higher_is_better else -gains, weights


def reproduces(interval: Interval, difference: float, scale: float) -> bool:
    """Whether the frames' mean is the difference of the reported values.

    It is not where a metric of a pooled protocol is no mean over frames (rmse, silog), or where a
    table is not that of the metrics beside it.

    Args:
        interval: from the tables.
        difference: gain of the values as reported, positive: the candidate is better.
        scale: size of the values, to which the tolerance is relative.
    """
    return abs(interval.gain - difference) <= _SAME * max(abs(scale), _SAME)


def _column(rows: Frames, keys: list[str], name: str) -> NDArray[np.float64]:
    return np.array([float(rows[key][name]) for key in keys])
