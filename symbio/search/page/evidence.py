"""What the answer stands on: single frames' scores of the finished trials, and what they show."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.search.frames import FRAMES_FILE, Frames, read_frames
from symbio.search.page.importance import Importance, importances_of
from symbio.search.statistics.compare import Compared, Comparison, Seeds, compare
from symbio.search.statistics.gap import Gap, gap
from symbio.search.statistics.margin import Margin, margin

if TYPE_CHECKING:
    from symbio.search.result import Result, Row

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Besides the rows of the result."""

    frames: dict[int, Frames]
    """By the trial's number; a trial that is not measured yet is left out."""
    unreadable: list[str]
    """Measurements that are broken, and why."""
    metrics: list[str]
    """The objectives, and the scores by which versions are promoted, where they were measured."""
    importances: list[Importance] = field(default_factory=list)
    """Of a search's parameters; empty where too few trials have finished."""
    margins: dict[str, Margin | str] = field(default_factory=dict)
    """Of a search: metric -> the best trial over the project's own params, on the test split."""
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    """Of an ablation by its first objective: "val", and "test" where that was measured."""
    others: list[Comparison] = field(default_factory=list)
    """Of an ablation by the other scores, on the test split."""
    gaps: dict[str, Gap] = field(default_factory=dict)
    """Of an ablation: variant -> from training to test frames, by the first objective."""

    def num_frames(self, split: str) -> int | None:
        """How many frames of a split were scored; None: no trial is measured yet."""
        for one in self.frames.values():
            if split in one.splits:
                return len(one.splits[split].keys)
        return None

    def total(self, row: Row, split: str, metric: str) -> float | None:
        """What a trial's network scored on a split; None: not measured, or not finite."""
        measured = self.frames.get(row.number)
        if measured is None or split not in measured.splits:
            return None
        return measured.splits[split].totals.get(metric)

    def as_dict(self) -> dict[str, Any]:
        """What programs read of it, plain JSON values."""
        values: dict[str, Any] = {"unreadable": self.unreadable}
        if self.comparisons:
            values["comparisons"] = {name: asdict(one) for name, one in self.comparisons.items()}
            values["others"] = [asdict(one) for one in self.others]
            values["gaps"] = {name: asdict(one) for name, one in self.gaps.items()}
        else:
            values["importances"] = [asdict(one) for one in self.importances]
            told = [one for one in self.margins.values() if isinstance(one, Margin)]
            values["margins"] = [asdict(one) for one in told]
        return values


def evidence_of(result: Result) -> Evidence:
    """Read what was measured, and compare it."""
    frames, unreadable = _measured(result)
    metrics = _metrics(result, frames)
    if result.plan.suite is not None:
        return _of_ablation(result, frames, unreadable, metrics)
    importances = importances_of(result.trials, result.objectives)
    margins = {}
    best, own = result.best, result.default
    if best is not None and own is not None and best is not own:
        pair = frames.get(best.number), frames.get(own.number)
        if pair[0] is not None and pair[1] is not None:
            margins = {metric: margin(pair[0], pair[1], metric, "test") for metric in metrics}
    return Evidence(frames, unreadable, metrics, importances, margins)


def _of_ablation(
    result: Result, frames: dict[int, Frames], unreadable: list[str], metrics: list[str]
) -> Evidence:
    variants: dict[str, dict[int, Frames]] = {name: {} for name in result.plan.variants}
    for row in result.finished:
        if row.number in frames and row.variant in variants and row.seed is not None:
            variants[row.variant][row.seed] = frames[row.number]
    if not frames:
        return Evidence({}, unreadable, metrics, comparisons={"val": _unmeasured(result)})
    baseline, metric = result.plan.baseline, result.metric
    comparisons = {
        split: compare(variants, baseline, metric, split)
        for split in ("val", "test")
        if any(split in one.splits for one in frames.values())
    }
    others = [
        compare(variants, baseline, other, "test")
        for other in metrics
        if other != metric and "test" in comparisons
    ]
    gaps = _gaps(variants, metric)
    return Evidence(frames, unreadable, metrics, comparisons=comparisons, others=others, gaps=gaps)


def _gaps(variants: Mapping[str, Seeds], metric: str) -> dict[str, Gap]:
    found = {name: gap(seeds, metric, "test") for name, seeds in variants.items()}
    return {name: one for name, one in found.items() if one is not None}


def _unmeasured(result: Result) -> Comparison:
    """The validations' scores, as long as no trial's frames were scored one by one."""
    lines = []
    for name in result.plan.variants:
        own = [row.values[0] for row in result.finished if row.variant == name]
        mean = statistics.fmean(own) if own else None
        std = statistics.stdev(own) if len(own) > 1 else None
        lines.append(Compared(name, len(own), mean, std))
    higher = result.objectives[0].higher_is_better
    return Comparison(result.metric, higher, "val", result.plan.baseline, 0, 0, 0, lines)


def _measured(result: Result) -> tuple[dict[int, Frames], list[str]]:
    frames, unreadable = {}, []
    for row in result.finished:
        path = result.trial_folder(row) / FRAMES_FILE
        try:
            if path.is_file():
                frames[row.number] = read_frames(path)
        except SymbioError as error:
            # A study that trains for days does not end for one file.
            unreadable.append(f"Trial {row.number}: {error}")
    return frames, unreadable


def _metrics(result: Result, frames: Mapping[int, Frames]) -> list[str]:
    promote = result.plan.params.promote
    named = [one.metric for one in result.objectives]
    named += [promote.metric, *promote.no_loss_beyond]
    splits = [split for one in frames.values() for split in one.splits.values()]
    there = {name for split in splits for name, value in split.totals.items() if value is not None}
    return [name for name in dict.fromkeys(named) if name in there]
