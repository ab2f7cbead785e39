"""The variants of an ablation beside its baseline, with a verdict on each.

A verdict is "better" or "worse" only if all of this holds, and else "no difference shown at n=...",
which is not "equal":

* the variant and the baseline share at least three finished seeds, over at least two scenes;
* the intervals of `symbio.search.statistics.difference`, which know of seeds and of frames, lie on
  one side of 0 (95 %);
* it still does after Holm's correction for the number of variants that were compared: of eight
  variants without any difference, one seems to have one in every third study (1 - 0.95^8 = 34 %).
  Holm, Scandinavian Journal of Statistics 6 (1979).

The seeds of a variant that the baseline lacks count in its mean, not in the difference.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from symbio.evaluate.metrics import metric_named
from symbio.evaluate.paired import LEVEL, RESAMPLES, SEED
from symbio.search.frames import Frames
from symbio.search.statistics.difference import Difference, difference
from symbio.search.statistics.scored import Floats, Scored, alike, draws_of, scored

FEWEST_SEEDS = 3
"""That a verdict takes."""
BETTER, WORSE = "better", "worse"

Seeds = Mapping[int, Frames]
"""Seed -> the network that it gave, measured."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A variant."""

    variant: str
    n: int
    """Seeds that were scored."""
    mean: float | None
    std: float | None
    """Between seeds, of the sample (n - 1); None for fewer than two."""
    verdict: str = ""
    """"better", "worse", "no difference shown at n=3"; "baseline"; or why it is not compared."""
    kind: str = ""
    """"better", "worse" or empty."""
    by_seed: dict[int, float] = field(default_factory=dict)
    """Seed -> variant minus baseline, in the metric's unit, for the seeds that both have."""
    difference: Difference | None = None
    """Over these seeds; None where there are no frames to resample."""
    p_holm: float | None = None
    """`difference.p`, corrected for the number of comparisons."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An ablation by one metric on one split."""

    metric: str
    higher_is_better: bool
    split: str
    baseline: str | None
    num_frames: int
    """Scored ones."""
    num_scenes: int
    """Of which these frames are."""
    comparisons: int
    """Variants with a p, for the number of which the verdicts are corrected."""
    variants: list[Compared]
    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = SEED


def compare(
    variants: Mapping[str, Seeds], baseline: str | None, metric: str, split: str
) -> Comparison:
    """Compare each variant with the baseline.

    Args:
        variants: name -> its measured seeds, those that have finished.
        baseline: one of the variants; None: nothing is compared.
        metric: as validation writes it, e.g. abs_rel or truth_miou.
        split: "val" or "test".

    Returns:
        The variants in the order given.

    Raises:
        SymbioError: there is no such metric.
    """
    higher = metric_named(metric).higher_is_better
    scores = {
        variant: {seed: scored(frames, metric, split) for seed, frames in sorted(seeds.items())}
        for variant, seeds in variants.items()
    }
    bench = _Bench(None if baseline is None else scores.get(baseline, {}))
    found = [bench.beside(variant, own, variant == baseline) for variant, own in scores.items()]
    judged = _judged(found, higher)
    every = [one for own in scores.values() for one in own.values() if isinstance(one, Scored)]
    return Comparison(
        metric,
        higher,
        split,
        baseline,
        every[0].num_frames if every else 0,
        len(every[0].counted) if every else 0,
        sum(one.p_holm is not None for one in judged),
        judged,
    )


Scores = Mapping[int, Scored | str]


class _Bench:
    """Where variants are compared with one baseline; its resampled scores are made once."""

    def __init__(self, baseline: Scores | None) -> None:
        self._baseline = baseline
        self._draws: dict[int, Floats] = {}
        self._resampled: dict[int, Floats] = {}

    def beside(self, variant: str, own: Scores, is_baseline: bool) -> Compared:
        """A variant, without Holm's correction and verdict where it has a difference."""
        values = [one.score for one in own.values() if isinstance(one, Scored)]
        one = Compared(
            variant,
            len(values),
            statistics.fmean(values) if values else None,
            statistics.stdev(values) if len(values) > 1 else None,
        )
        if self._baseline is None:
            return one
        if is_baseline:
            return replace(one, verdict="baseline")
        pairs, reason = _pairs(own, self._baseline)
        if not pairs:
            return replace(one, verdict=f"not compared: {reason}")
        by_seed = {seed: mine.score - theirs.score for seed, (mine, theirs) in pairs.items()}
        one = replace(one, by_seed=by_seed)
        count = len(next(iter(pairs.values()))[0].counted)
        if count < 2:
            return replace(one, verdict=f"{_undecided(len(pairs))}: all frames are of one scene")
        if count not in self._draws:
            self._draws[count] = draws_of(count)
        draws = self._draws[count]
        gains = []
        for seed, (mine, theirs) in pairs.items():
            if seed not in self._resampled:
                self._resampled[seed] = theirs.resampled(draws)
            gains.append(mine.resampled(draws) - self._resampled[seed])
        told = difference(np.array(list(by_seed.values())), np.stack(gains), count)
        return replace(one, difference=told)


def _pairs(own: Scores, baseline: Scores) -> tuple[dict[int, tuple[Scored, Scored]], str]:
    """The seeds that both have, all measured alike; and why some are missing."""
    pairs: dict[int, tuple[Scored, Scored]] = {}
    reason = "it shares no finished seed with the baseline"
    first = next((one for one in baseline.values() if isinstance(one, Scored)), None)
    for seed in sorted(own.keys() & baseline.keys()):
        mine, theirs = own[seed], baseline[seed]
        if isinstance(mine, str):
            reason = mine
        elif isinstance(theirs, str):
            reason = f"of the baseline, {theirs}"
        elif first is None or not (alike(mine, first) and alike(theirs, first)):
            reason = "it was not measured on the same frames, or in the same classes"
        else:
            pairs[seed] = mine, theirs
    return pairs, reason


def _judged(found: Sequence[Compared], higher: bool) -> list[Compared]:
    """With Holm's correction and a verdict."""
    decided = [one for one in found if one.difference and len(one.by_seed) >= FEWEST_SEEDS]
    corrected = holm({one.variant: one.difference.p for one in decided if one.difference})
    return [_with_verdict(one, corrected.get(one.variant), higher) for one in found]


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's correction: p of each comparison, adjusted for the number of them."""
    adjusted, least = {}, 0.0
    for place, name in enumerate(sorted(p, key=lambda name: p[name])):
        least = max(least, min(1.0, (len(p) - place) * p[name]))
        adjusted[name] = least
    return adjusted


def _with_verdict(one: Compared, p_holm: float | None, higher: bool) -> Compared:
    if one.difference is None:
        return one
    count = len(one.by_seed)
    if p_holm is None:
        told = f"{_undecided(count)} (a verdict takes {FEWEST_SEEDS} seeds)"
        return replace(one, verdict=told)
    if p_holm < 1 - LEVEL:
        kind = BETTER if (one.difference.mean > 0) == higher else WORSE
        return replace(one, verdict=kind, kind=kind, p_holm=p_holm)
    told = _undecided(count)
    if one.difference.p < 1 - LEVEL:
        told = f"{told} once corrected for the number of variants"
    return replace(one, verdict=told, p_holm=p_holm)


def _undecided(count: int) -> str:
    return f"no difference shown at n={count}"
