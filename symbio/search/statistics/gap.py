"""How much worse networks are on frames that they never saw."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from symbio.evaluate.metrics import metric_named
from symbio.search.statistics.compare import Seeds


@dataclass(frozen=True, slots=True)
class Gap:
    """Of a variant, over its seeds. Held-out and training frames are others, so nothing is paired
    and a part of every gap is that some frames are harder."""

    n: int
    mean: float
    """In the metric's unit; positive: worse on held-out frames than on training frames."""
    std: float | None
    """Between seeds, of the sample (n - 1); None for fewer than two."""


def gap(seeds: Seeds, metric: str, split: str) -> Gap | None:
    """The gap between the training frames and a held-out split; None where nothing was measured.

    Args:
        seeds: the measured networks.
        metric: as validation writes it, e.g. abs_rel or truth_miou.
        split: "val" or "test".

    Raises:
        SymbioError: there is no such metric.
    """
    sign = -1 if metric_named(metric).higher_is_better else 1
    found = []
    for frames in seeds.values():
        if "train" not in frames.splits or split not in frames.splits:
            continue
        seen = frames.splits["train"].totals.get(metric)
        unseen = frames.splits[split].totals.get(metric)
        if seen is not None and unseen is not None:
            found.append(sign * (unseen - seen))
    if not found:
        return None
    return Gap(len(found), statistics.fmean(found), statistics.stdev(found) if found[1:] else None)
