"""The answer of an ablation in words: who is better, who is worse, of whom nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symbio.blocks import Text
from symbio.search.page.values import between, change, counted, signed
from symbio.search.statistics.compare import BETTER, FEWEST_SEEDS, WORSE, Compared, Comparison

if TYPE_CHECKING:
    from symbio.search.page.evidence import Evidence
    from symbio.search.result import Result


def verdicts(result: Result, evidence: Evidence) -> list[Text]:
    """By the val split, and whether the test split says the same."""
    return [Text(_answer(result, evidence)), *_on_test(evidence)]


def _answer(result: Result, evidence: Evidence) -> str:
    comparison = evidence.comparisons.get("val")
    compared = _compared(comparison)
    if comparison is None or not compared:
        return (
            "None yet: no variant has finished, and was measured, with a seed that the baseline "
            f'"{result.plan.baseline}" has finished with too.'
        )
    baseline = next(one for one in comparison.variants if one.variant == comparison.baseline)
    better, worse, rest = (
        [one for one in compared if one.kind == kind] for kind in (BETTER, WORSE, "")
    )
    parts = [
        f"{_count(kind, ones)} {', '.join(_by_how_much(one, baseline) for one in ones)}"
        for kind, ones in ((BETTER, better), (WORSE, worse))
        if ones
    ]
    if rest:
        names = ", ".join(one.variant for one in rest)
        parts.append(
            f"for {len(rest)} no difference is shown, which is not to say that there is none "
            f"({names})"
        )
    stands = (
        f"By {comparison.metric} on {comparison.num_frames} val frames of "
        f"{counted(comparison.num_scenes, 'scene')}, paired by seed"
    )
    compared_with = f'Of {counted(len(compared), "variant")} compared with "{baseline.variant}"'
    return f"{compared_with}: {'; '.join(parts)}. {stands}.{_unfinished(result, compared)}"


def _compared(comparison: Comparison | None) -> list[Compared]:
    return [] if comparison is None else [one for one in comparison.variants if one.by_seed]


def _count(kind: str, ones: Sequence[Compared]) -> str:
    return f"{len(ones)} {'is' if len(ones) == 1 else 'are'} {kind}:"


def _by_how_much(one: Compared, baseline: Compared) -> str:
    assert one.difference is not None
    assert baseline.mean is not None
    mean, interval = one.difference.mean, one.difference.interval
    return (
        f"{one.variant} ({change(mean, baseline.mean)}: {signed(mean)}, 95 % interval "
        f"{between(interval.low, interval.high)}, n={len(one.by_seed)})"
    )


def _unfinished(result: Result, compared: Sequence[Compared]) -> str:
    planned = len(result.plan.params.ablations[str(result.plan.suite)].seeds)
    told = ""
    if planned < FEWEST_SEEDS:
        told += f" A verdict takes {FEWEST_SEEDS} seeds; this suite has {planned}."
    missing = len(result.plan.variants) - 1 - len(compared)
    if missing:
        told += f" {counted(missing, 'variant')} cannot be compared yet."
    short = [one.variant for one in compared if len(one.by_seed) < planned]
    if short:
        told += f" Not all {planned} seeds stand behind {', '.join(short)}."
    return told


def _on_test(evidence: Evidence) -> list[Text]:
    """Whether frames by which nothing was chosen say the same."""
    val, test = (evidence.comparisons.get(split) for split in ("val", "test"))
    if val is None or test is None or not _compared(test):
        return []
    kinds = {one.variant: one.kind for one in _compared(val)}
    other = [one for one in _compared(test) if one.kind != kinds.get(one.variant)]
    told = (
        "give the same verdicts"
        if not other
        else "give other verdicts on "
        + ", ".join(f"{one.variant} ({one.kind or one.verdict})" for one in other)
    )
    return [
        Text(
            f"The {test.num_frames} test frames, by which no checkpoint and no parameter was "
            f"chosen, {told}."
        )
    ]
