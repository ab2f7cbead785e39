"""How far the difference between two variants can be told from the luck of seeds and of frames.

Given is d[s], the difference for each seed s that both variants were trained with (both began with
the same weights and saw the same frames in the same order), and the same on resampled frames.

Two things make another measurement come out otherwise. *Seeds*: the same recipe with other initial
weights and another order. *Frames*: other scenes than the few that were measured; all seeds are
scored on these, so that the spread between seeds says nothing about it. An interval that leaves
one of the two out claims too much. Simulated without any true difference, for 3 seeds and 16 scenes
(normal effects of seed, scene and both; what should be 5 %), a difference was "shown":

* in 80 % of the studies by a bootstrap of frames alone, where seeds differ;
* in 26 % by a bootstrap of seeds and frames together: three seeds drawn with return spread only
  2/3 of what seeds do, and its bounds know nothing of how badly three seeds tell their own spread;
* in 36 % by a paired t interval over the seeds, where scenes matter more than seeds;
* in 1 to 7 % by the interval below; with two seeds 12 %, and so a verdict takes three.

The interval is Student's, d +- t(df) sqrt(v_seeds + v_frames): v_seeds is the variance of d[s] over
the seeds divided by their number n, v_frames the bootstrap's variance of d when whole scenes are
drawn (times G / (G - 1), for G scenes), and df is Satterthwaite's,
(v_seeds + v_frames)^2 / (v_seeds^2 / (n - 1) + v_frames^2 / (G - 1)). Satterthwaite, Biometrics
Bulletin 2 (1946). Frames of one scene resemble each other, so scenes are drawn and not frames.

The paired bootstrap interval over seeds and scenes together (Owen, Annals of Applied Statistics 1
(2007): both are drawn, each with return) is given beside it, and a verdict needs both to lie on one
side of 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from symbio.data.draws import rng_for
from symbio.evaluate.paired import LEVEL, RESAMPLES, SEED
from symbio.search.statistics.scored import Floats


@dataclass(frozen=True, slots=True)
class Interval:
    """Of the difference, in the metric's own unit."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two variants."""

    mean: float
    """Over the seeds."""
    interval: Interval
    """Student's, of seeds (where there are several) and scenes: the one that decides."""
    bootstrap: Interval
    """Percentiles of the paired bootstrap over seeds and scenes."""
    p: float
    """Probability of a mean at least so far from 0 if there were no difference: the larger one of
    both intervals'."""


def difference(by_seed: Floats, resampled: Floats, num_scenes: int) -> Difference:
    """The difference and its intervals.

    Args:
        by_seed: (n,) each seed's difference on the frames as they are; n = 1 says nothing about
            seeds, and the intervals are then of the frames alone.
        resampled: (n, RESAMPLES) the same on resampled scenes, the same ones for all seeds.
        num_scenes: G >= 2, of which those were drawn.
    """
    mean = float(by_seed.mean())
    bootstrap, p_bootstrap = _bootstrap(resampled)
    interval, p_student = _student(by_seed, resampled, num_scenes)
    return Difference(mean, interval, bootstrap, max(p_student, p_bootstrap))


def _student(by_seed: Floats, resampled: Floats, num_scenes: int) -> tuple[Interval, float]:
    mean, seeds = float(by_seed.mean()), len(by_seed)
    of_seeds = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    of_frames = float(resampled.mean(axis=0).var()) * num_scenes / (num_scenes - 1)
    total = of_seeds + of_frames
    if total == 0:
        return Interval(mean, mean), float(mean == 0)
    inverse = (of_frames / total) ** 2 / (num_scenes - 1)
    if seeds > 1:
        inverse += (of_seeds / total) ** 2 / (seeds - 1)
    freedom, error = 1 / inverse, math.sqrt(total)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, freedom))
    return Interval(mean - reach, mean + reach), p


def _bootstrap(resampled: Floats) -> tuple[Interval, float]:
    seeds = len(resampled)
    chosen = rng_for(SEED, "resampled seeds").integers(0, seeds, (seeds, RESAMPLES))
    means = np.take_along_axis(resampled, chosen, axis=0).mean(axis=0)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return Interval(float(low), float(high)), min(1.0, 2 * (beyond + 1) / (RESAMPLES + 1))
