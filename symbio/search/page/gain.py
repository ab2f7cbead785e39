"""The answer of a search in words and numbers: what its best trial gains over the own params."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbio.blocks import Block, Heading, Table, Text
from symbio.search.page.evidence import SPLITS
from symbio.search.page.opening import arrow
from symbio.search.page.values import between, change, changes_told, counted, signed, told
from symbio.search.statistics.margin import Margin

if TYPE_CHECKING:
    from symbio.search.page.evidence import Evidence
    from symbio.search.result import Result


def best_answer(result: Result, evidence: Evidence) -> str:
    """Of a search with one objective."""
    best, own = result.best, result.default
    if best is None:
        return "None yet: no trial has finished."
    found = f"Trial {best.number} with {result.metric} {told(best.values[0])} on val"
    if own is None:
        return f"{found}. The project's own params (trial 0) have no score to compare it with."
    if best is own:
        return (
            f"No trial is better than the project's own params (trial {own.number}, "
            f"{result.metric} {told(own.values[0])} on val); best-params.yaml repeats them."
        )
    return (
        f"{found}, {change(best.values[0] - own.values[0], own.values[0])} than the project's own "
        f"params (trial {own.number}, {told(own.values[0])}): {changes_told(best.changes)}. "
        f"{_on_test(result, evidence)}"
    )


def _on_test(result: Result, evidence: Evidence) -> str:
    """Whether the gain holds where nothing was chosen."""
    chosen = (
        f"On val it is the best of {len(result.finished)} finished trials, chosen by these very "
        "scores, and so looks better than it is."
    )
    margin = evidence.margins.get(result.metric)
    if margin is None:
        return f"{chosen} On the test split the two trials are not measured yet."
    if isinstance(margin, str):
        return f"{chosen} On the test split they cannot be compared: {margin}."
    return (
        f"{chosen} On the {margin.num_frames} test frames, by which nothing was chosen, it has "
        f"{told(margin.candidate)} against {told(margin.reference)}, "
        f"{change(margin.difference, margin.reference)} ({signed(margin.difference)}, 95 % "
        f"interval {between(margin.interval.low, margin.interval.high)} over "
        f"{counted(margin.num_scenes, 'scene')}): {margin.verdict}. {_ONE_SEED}"
    )


_ONE_SEED = (
    "One training of each stands behind this; what other seeds would give is not in the interval "
    "(symbio ablate tells that)."
)


def front_answer(result: Result) -> str:
    """Of a search with several objectives."""
    best, own = result.front, result.default
    if not best:
        return "None yet: no trial has finished."
    numbers = ", ".join(str(row.number) for row in best)
    stands = ""
    if own is not None:
        stands = (
            " The project's own params (trial 0) are one of them."
            if own in best
            else " The project's own params (trial 0) are none of them: another trial is at least "
            "as good in every objective and better in one."
        )
    return (
        f"Of {len(result.finished)} finished trials, {len(best)} ({numbers}) are such that no "
        f"other is better in one objective without being worse in another.{stands} Which of them "
        f"to take is for you to say; best-params.yaml holds the one with the best {result.metric}, "
        "the objective that is named first."
    )


def gain_blocks(result: Result, evidence: Evidence) -> list[Block]:
    """Best and own params side by side, on each split."""
    rows = [row for row in (result.default, result.best) if row is not None]
    if (
        len(rows) < 2
        or rows[0] is rows[1]
        or not all(row.number in evidence.frames for row in rows)
    ):
        return []
    head = ("score", "split", "frames", "own params", "best", "difference", "95 % interval")
    lines = []
    for metric in evidence.metrics:
        margin = evidence.margins.get(metric)
        for split in SPLITS:
            first, second = (evidence.total(row, split, metric) for row in rows)
            if first is None or second is None:
                continue
            interval = ""
            if split == "test" and isinstance(margin, Margin):
                interval = between(margin.interval.low, margin.interval.high)
            lines.append(
                [
                    f"{metric} {arrow(metric)}",
                    split,
                    str(evidence.num_frames(split)),
                    told(first),
                    told(second),
                    signed(second - first),
                    interval,
                ]
            )
    note = (
        "train: frames that the network learnt from, as many as val has. val: held out, and chosen "
        "by. test: nothing was chosen by these. ↓ lower is better, ↑ higher is better."
    )
    return [Heading("Best and own params"), Table(head, lines, frozenset({"split"})), Text(note)]
