"""Is a gain more than the luck of the seed? Two configurations, each trained with some seeds.

The mean of a configuration that was trained with n seeds is known to s / sqrt(n), s being the
standard deviation between the seeds. The interval of the difference of two such means is Welch's,
d +- t(df) sqrt(s1^2 / n1 + s2^2 / n2), with Satterthwaite's degrees of freedom: it asks for no
equal spread. Welch, Biometrika 34 (1947).

One seed says nothing about its own spread. A configuration with a single seed is taken to scatter
as the other one does (then df = n - 1 of that one); where neither has two, nothing is known.

The same interval judges two versions of *one* configuration, which the seed alone tells apart: each
is one draw, and all seeds of the configuration give the spread.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from symbio.evaluate.paired import LEVEL


@dataclass(frozen=True, slots=True)
class Group:
    """The versions of one configuration, one a seed."""

    seeds: list[int]
    versions: list[str]
    """Numbers of the versions, in the order of `seeds`."""
    values: list[float]
    """Of the metric, in its own unit, in the order of `seeds`."""
    mean: float
    std: float | None
    """Between seeds, of the sample (n - 1); None for a single one."""

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.seeds)


@dataclass(frozen=True, slots=True)
class SeedInterval:
    """Where the gain lies, in the metric's unit, seeds considered; positive: candidate better."""

    low: float
    high: float
    gain: float
    """Of the candidate's mean over the champion's."""
    freedom: float
    """Degrees of freedom of the Student distribution."""
    spread: str
    """Whose scatter between seeds was taken, in words."""
    candidate: Group
    champion: Group
    level: float = LEVEL


def group_of(members: Mapping[int, tuple[str, float]]) -> Group:
    """A group from seed -> (version, value); at least one."""
    seeds = sorted(members)
    values = [members[seed][1] for seed in seeds]
    std = statistics.stdev(values) if len(values) > 1 else None
    versions = [members[seed][0] for seed in seeds]
    return Group(seeds, versions, values, statistics.fmean(values), std)


def seed_interval(
    candidate: Group, champion: Group, higher_is_better: bool, shared: Group | None = None
) -> SeedInterval | str:
    """The interval of the difference of the two means, or why there is none.

    Args:
        candidate: seeds of the candidate's configuration.
        champion: seeds of the champion's.
        higher_is_better: the metric's direction.
        shared: where both are of one configuration, all its seeds; `candidate` and `champion` are
            then the two versions alone.
    """
    difference = candidate.mean - champion.mean
    gain = difference if higher_is_better else -difference
    if shared is not None:
        stds, degrees = (shared.std, shared.std), (shared.n - 1, 0)
        spread = f"of the one configuration that both are of, seeds {_listed(shared)}"
    elif candidate.std is not None and champion.std is not None:
        stds, degrees = (candidate.std, champion.std), (candidate.n - 1, champion.n - 1)
        spread = "of each configuration's own seeds"
    else:
        lender = champion if candidate.std is None else candidate
        stds, degrees = (lender.std, lender.std), (lender.n - 1, 0)
        spread = (
            "of the champion's seeds, for the candidate has one"
            if lender is champion
            else "of the candidate's seeds, for the champion has one"
        )
    if stds[0] is None or stds[1] is None:
        return "no configuration of the two has versions of several seeds"
    parts = (stds[0] ** 2 / candidate.n, stds[1] ** 2 / champion.n)
    freedom = _freedom(parts, degrees)
    reach = _quantile(freedom) * math.sqrt(sum(parts)) if sum(parts) > 0 else 0.0
    return SeedInterval(gain - reach, gain + reach, gain, freedom, spread, candidate, champion)


def _freedom(parts: tuple[float, float], degrees: tuple[int, int]) -> float:
    """Satterthwaite's; of one spread for both (its second degree is 0), that spread's own."""
    if not degrees[1]:
        return float(degrees[0])
    total = sum(parts)
    if total == 0:
        return float(sum(degrees))
    return 1 / sum((part / total) ** 2 / n for part, n in zip(parts, degrees, strict=True))


def _quantile(freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))


def _listed(group: Group) -> str:
    return ", ".join(str(seed) for seed in group.seeds)
