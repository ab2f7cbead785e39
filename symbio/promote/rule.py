"""The rule of promotion: numbers in, verdict and reasons out; it knows no store.

A version is promoted when all of this holds:

1. Against a champion, both being measured alike (`evaluate.protocol.require_same_measurement`):
   a. `promote.metric` is strictly better, by `promote.min_gain` of the champion's value or more;
   b. the 95 % paired bootstrap interval of the gain over the test frames (`evaluate.paired`) lies
      wholly above 0. Where no interval can be had (a semantic metric has no value for single
      frames), (a) alone decides, and the verdict says so;
   c. where the configuration of one of the two was trained with several seeds, the 95 % interval of
      the difference of the configurations' means (`promote.seeds`) lies wholly above 0. Where
      neither was, that is not known, and the verdict says so;
   d. no metric of `promote.no_loss_beyond` is worse than the champion's by more than its share of
      the champion's value. A value that is not a number is an unbounded loss, unless the
      champion has none either.
2. Without a champion: `promote.metric` is strictly better than that of the constant predictor on
   the same frames. `min_gain` and `no_loss_beyond` have nothing to be measured against.

So a version with the champion's own numbers is never promoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from symbio.evaluate.metrics import metric_named
from symbio.evaluate.paired import Interval
from symbio.params import PromoteParams
from symbio.promote.seeds import Group, SeedInterval


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two predictors."""

    metric: str
    candidate: float | None
    """None: not a number, or not measured."""
    reference: float | None
    gain: float | None
    """Candidate's advantage in the metric's unit; negative: it is worse. None: not a number."""
    relative_gain: float | None
    """As a share of the reference's size; None where that is 0 or not a number."""
    bound: float
    """`min_gain`, or the loss allowed, as such a share."""
    holds: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says, and why."""

    promoted: bool
    reasons: list[str]
    """One line for each condition that decided."""
    metric: Comparison
    guards: list[Comparison]


def against_champion(
    params: PromoteParams,
    candidate: Mapping[str, Any],
    champion: Mapping[str, Any],
    interval: Interval | str,
    seeds: SeedInterval | str,
) -> Verdict:
    """Rule 1.

    Args:
        params: section `promote`.
        candidate: metrics file of the version under decision.
        champion: metrics file of the champion, measured alike.
        interval: of the gain over frames, or why there is none.
        seeds: of the gain over seeds, or why there is none.
    """
    mine, theirs = candidate["trained"], champion["trained"]
    headline = _compared(params.metric, mine, theirs, params.min_gain)
    share = headline.relative_gain
    enough = share is None or share >= params.min_gain
    headline = replace(headline, holds=_better(headline) and enough)
    reasons = [_told(headline, "gains", f"needs more than 0 and at least {params.min_gain:.2%}")]
    beyond_noise = True
    if isinstance(interval, str):
        reasons.append(f"whether that is more than noise is not known: {interval}")
    else:
        beyond_noise = interval.low > 0
        where = f"{interval.low:.4g} to {interval.high:.4g} over {interval.num_frames} frames"
        judged = _judged(interval.low, interval.high, "noise")
        reasons.append(f"the gain's 95 % interval is {where}: {judged}")
    beyond_seeds = True
    if isinstance(seeds, str):
        reasons.append(f"whether it is more than the luck of the seed is not known: {seeds}")
    else:
        beyond_seeds = seeds.low > 0
        reasons.append(_told_of_seeds(seeds))
    guards = []
    for name, allowed in sorted(params.no_loss_beyond.items()):
        guard = _compared(name, mine, theirs, allowed)
        guards.append(replace(guard, holds=_bearable(guard)))
        reasons.append(_told(guards[-1], "changes by", f"may lose {allowed:.2%}"))
    beyond = beyond_noise and beyond_seeds
    promoted = headline.holds and beyond and all(guard.holds for guard in guards)
    return Verdict(promoted, reasons, headline, guards)


def against_constant(params: PromoteParams, candidate: Mapping[str, Any]) -> Verdict:
    """Rule 2."""
    headline = _compared(params.metric, candidate["trained"], candidate["constant"], 0.0)
    headline = replace(headline, holds=_better(headline))
    told = _told(headline, "gains", "needs more than 0 over the constant predictor")
    return Verdict(headline.holds, [f"there is no champion yet; {told}"], headline, [])


def _compared(
    name: str, candidate: Mapping[str, Any], reference: Mapping[str, Any], bound: float
) -> Comparison:
    mine, theirs = candidate.get(name), reference.get(name)
    gain = share = None
    if mine is not None and theirs is not None:
        gain = mine - theirs if metric_named(name).higher_is_better else theirs - mine
        share = gain / abs(theirs) if theirs else None
    return Comparison(name, mine, theirs, gain, share, bound, False)


def _better(one: Comparison) -> bool:
    return metric_named(one.metric).better(one.candidate, one.reference)


def _bearable(guard: Comparison) -> bool:
    if guard.reference is None:
        return True
    if guard.gain is None:
        return False
    share = guard.relative_gain
    return guard.gain >= 0 or (share is not None and share >= -guard.bound)


def _told(one: Comparison, verb: str, rule: str) -> str:
    share = "" if one.relative_gain is None else f", {verb} {one.relative_gain:+.2%}"
    values = f"{_shown(one.candidate)} against {_shown(one.reference)}"
    return f"{one.metric} {values}{share} ({rule}): {'holds' if one.holds else 'does not hold'}"


def _judged(low: float, high: float, luck: str) -> str:
    """What an interval of the gain says."""
    if low > 0:
        return f"it is more than {luck}"
    if high < 0:
        return f"it is a loss, and more than {luck}"
    return f"it may be {luck} (needs all above 0)"


def _told_of_seeds(seeds: SeedInterval) -> str:
    judged = _judged(seeds.low, seeds.high, "the luck of the seed")
    return (
        f"over seeds {_told_group(seeds.candidate)} against {_told_group(seeds.champion)}: the "
        f"gain's 95 % interval is {seeds.low:.4g} to {seeds.high:.4g} by the scatter "
        f"{seeds.spread}: {judged}"
    )


def _told_group(group: Group) -> str:
    spread = "" if group.std is None else f" +- {group.std:.2g}"
    return f"{group.mean:.6g}{spread} (n={group.n})"


def _shown(value: float | None) -> str:
    return "no number" if value is None else f"{value:.6g}"
