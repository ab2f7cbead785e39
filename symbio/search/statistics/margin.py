"""By how much one trained network is better than another: the answer of a search.

There is one training of each, so nothing is known of what other seeds would give, and the interval
is of the frames alone: it says whether *these two networks* differ on scenes like those measured,
and not whether the one recipe is better than the other. On val the best of many trials is best in
part by luck, for it was chosen there; only test frames say by how much it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symbio.evaluate.metrics import metric_named
from symbio.evaluate.paired import LEVEL
from symbio.search.frames import Frames
from symbio.search.statistics.compare import BETTER, WORSE
from symbio.search.statistics.difference import Interval, difference
from symbio.search.statistics.scored import alike, draws_of, scored


@dataclass(frozen=True, slots=True)
class Margin:
    """Of one network over another."""

    metric: str
    split: str
    candidate: float
    reference: float
    difference: float
    """Candidate minus reference, in the metric's unit."""
    interval: Interval
    """Of the difference (95 %), over scenes: Student's, with the bootstrap's variance."""
    bootstrap: Interval
    """Percentiles of the paired bootstrap over scenes."""
    num_frames: int
    num_scenes: int
    kind: str
    """"better" or "worse" where both intervals lie on one side of 0; else empty."""
    verdict: str
    """In words."""


def margin(candidate: Frames, reference: Frames, metric: str, split: str) -> Margin | str:
    """The margin of a network over another; or why there is none.

    Args:
        candidate: a measured network, e.g. of a search's best trial.
        reference: another one, e.g. of the project's own params.
        metric: as validation writes it, e.g. abs_rel or truth_miou.
        split: "test", where nothing was chosen by it.

    Raises:
        SymbioError: there is no such metric.
    """
    higher = metric_named(metric).higher_is_better
    mine, theirs = scored(candidate, metric, split), scored(reference, metric, split)
    if isinstance(mine, str):
        return mine
    if isinstance(theirs, str):
        return theirs
    if not alike(mine, theirs):
        return "they were not measured on the same frames, or in the same classes"
    count = len(mine.counted)
    if count < 2:
        return "all frames are of one scene"
    draws = draws_of(count)
    gain = np.array([mine.score - theirs.score])
    told = difference(gain, (mine.resampled(draws) - theirs.resampled(draws))[None], count)
    kind = ""
    if told.p < 1 - LEVEL:
        kind = BETTER if (told.mean > 0) == higher else WORSE
    verdict = f"{kind} on frames like these" if kind else "no difference shown on these frames"
    return Margin(
        metric,
        split,
        mine.score,
        theirs.score,
        told.mean,
        told.interval,
        told.bootstrap,
        mine.num_frames,
        count,
        kind,
        verdict,
    )
