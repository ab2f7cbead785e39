"""The page of an ablation: which variants differ from the baseline, and how sure that is."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from symbio.blocks import Block, Drawing, Heading, Table, Text
from symbio.search.page.forest import forest
from symbio.search.page.gap import SPLITS, gap
from symbio.search.page.learning import variant_curves
from symbio.search.page.opening import arrow, asked
from symbio.search.page.values import between, changes_told, counted, duration, signed, told
from symbio.search.page.verdicts import verdicts
from symbio.search.statistics.compare import FEWEST_SEEDS, Compared, Comparison

if TYPE_CHECKING:
    from symbio.search.page.evidence import Evidence
    from symbio.search.result import Result


def ablation_blocks(result: Result, evidence: Evidence) -> list[Block]:
    """From the answer to the trials."""
    return [
        Heading("Answer"),
        *verdicts(result, evidence),
        Heading("Question"),
        Text(asked(result, evidence)),
        *_comparisons(result, evidence),
        *_other_scores(evidence),
        *_generalisation(result, evidence),
        *_curves(result),
        *_variants(result),
        *_trials(result),
    ]


def _comparisons(result: Result, evidence: Evidence) -> list[Block]:
    blocks: list[Block] = []
    for split, comparison in evidence.comparisons.items():
        frames = f": {comparison.num_frames} frames" if comparison.num_frames else ""
        blocks += [Heading(f"On the {split} split{frames}"), _table(result, evidence, comparison)]
        drawing = forest(comparison)
        if drawing is not None:
            caption = (
                "Difference to the baseline (large dot), its 95 % interval (line), and each seed's "
                "own (small dots)."
            )
            blocks += [Drawing(drawing, caption), Text(_rule(comparison))]
    return blocks


def _rule(comparison: Comparison) -> str:
    alone = any(len(one.by_seed) == 1 for one in comparison.variants)
    of_frames = " The interval of a single seed knows of scenes alone." if alone else ""
    return (
        "The interval knows of the luck of seeds and of scenes (Student's, with the scenes' "
        f"variance from {comparison.resamples} resamples with seed {comparison.seed}; "
        f"symbio.search.statistics).{of_frames} A verdict takes {FEWEST_SEEDS} seeds, this "
        "interval and the paired bootstrap's on one side of 0, and that this stands Holm's "
        f"correction for {counted(comparison.comparisons, 'comparison')}."
    )


def _table(result: Result, evidence: Evidence, comparison: Comparison) -> Table:
    """Besides the scores, where nothing was chosen how far training frames are from these."""
    on_test = comparison.split == "test"
    head = (
        "variant",
        "seeds",
        f"{comparison.metric} {arrow(comparison.metric)}, mean ± std",
        "difference",
        "95 % interval",
        "p (Holm)",
        "gap from train" if on_test else "wall time",
        "verdict",
    )
    beside = {
        one.variant: _gap(evidence, one.variant) if on_test else _wall_time(result, one.variant)
        for one in comparison.variants
    }
    rows = [
        [
            one.variant,
            str(one.n),
            _spread(one),
            *_difference(one),
            beside[one.variant],
            one.verdict,
        ]
        for one in comparison.variants
    ]
    return Table(head, rows, frozenset({"verdict"}))


def _spread(one: Compared) -> str:
    return told(one.mean) if one.std is None else f"{told(one.mean)} ± {one.std:.2g}"


def _difference(one: Compared) -> list[str]:
    if one.difference is None:
        return ["", "", ""]
    interval = one.difference.interval
    p = "" if one.p_holm is None else f"{one.p_holm:.2g}"
    return [signed(one.difference.mean), between(interval.low, interval.high), p]


def _gap(evidence: Evidence, variant: str) -> str:
    found = evidence.gaps.get(variant)
    return "" if found is None else signed(found.mean)


def _wall_time(result: Result, variant: str) -> str:
    own = [row.seconds for row in result.finished if row.variant == variant]
    return duration(statistics.fmean(own)) if own else ""


def _other_scores(evidence: Evidence) -> list[Block]:
    others = evidence.others
    if not others:
        return []
    head = ["variant", *(f"{one.metric} {arrow(one.metric)}" for one in others)]
    rows = [
        [lines[0].variant, *(_judged(line) for line in lines)]
        for lines in zip(*(one.variants for one in others), strict=True)
    ]
    note = (
        "Mean ± std over the seeds, with a verdict by the same rule where there is one. It is "
        "corrected for the number of variants, not for that of the scores in this table."
    )
    return [Heading("Other scores on the test split"), Table(head, rows), Text(note)]


def _judged(one: Compared) -> str:
    return f"{_spread(one)} ({one.kind})" if one.kind else _spread(one)


def _generalisation(result: Result, evidence: Evidence) -> list[Block]:
    means: dict[str, dict[str, float]] = {}
    for variant in result.plan.variants:
        own = [row for row in result.finished if row.variant == variant]
        for split in SPLITS:
            totals = [evidence.total(row, split, result.metric) for row in own]
            known = [value for value in totals if value is not None]
            if known:
                means.setdefault(variant, {})[split] = statistics.fmean(known)
    if not means:
        return []
    caption = (
        f"Mean {result.metric} over the seeds on frames that the network learnt from (train, as "
        "many as val has), on those that its checkpoint was chosen by (val), and on others "
        "(test). The gap in the tables is from train to test, above 0 where test is worse; a part "
        "of it is that these are other frames."
    )
    return [Heading("Generalisation"), Drawing(gap(means, result.metric), caption)]


def _curves(result: Result) -> list[Block]:
    drawing = variant_curves(result, str(result.plan.baseline))
    if drawing is None:
        return []
    caption = (
        f"{result.metric} on the val split by step: each seed of the variant in blue, before those "
        f"of {result.plan.baseline} in grey."
    )
    return [Heading("Learning curves"), Drawing(drawing, caption)]


def _variants(result: Result) -> list[Block]:
    rows = [[name, changes_told(one) or "nothing"] for name, one in result.plan.variants.items()]
    head = ("variant", "what it changes")
    return [Heading("Variants"), Table(head, rows, frozenset({"what it changes"}))]


def _trials(result: Result) -> list[Block]:
    head = ("trial", "variant", "seed", "state", result.metric, "wall time")
    rows = [
        [
            str(row.number),
            str(row.variant),
            told(row.seed),
            row.state,
            told(row.score),
            duration(row.seconds),
        ]
        for row in result.rows
    ]
    return [Heading("Trials"), Table(head, rows, frozenset({"variant", "state"}))]
