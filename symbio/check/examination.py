"""Frames judged one by one, and all of them together at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from symbio.check.checked import Checked
from symbio.check.depth import DepthCheck
from symbio.check.finding import Finding
from symbio.check.frame import Examined
from symbio.check.totals import counted
from symbio.check.twins import Twins
from symbio.data.classes import IGNORE, label_space
from symbio.params import DatasetParams
from symbio.prepare.contact import ContactSheet
from symbio.prepare.encode import Encoded
from symbio.prepare.entry import Entry, Missing, Plan
from symbio.prepare.statistics import SplitStatistics

SPLITS = ("train", "val", "test")

_SHOWN_A_SPLIT = 5
_TOLERANCE = 0.1
"""Share by which a frame's height and width may differ from the commonest; KITTI's do by 2 %."""
_NAMED = 5


class Examination:
    """Collects findings and counts in the order of the frames."""

    def __init__(
        self, plan: Plan, section: DatasetParams, entries: list[Entry], needed: Sequence[str]
    ) -> None:
        """`needed` are the splits that must not be empty."""
        self._plan = plan
        self._needed = needed
        self._section = section
        self._entries = entries
        self._findings = [_missing(one) for one in plan.missing]
        self._findings += [Finding("list", "lists", text, "") for text in plan.problems]
        self._statistics = {split: SplitStatistics() for split in SPLITS}
        self._valid: dict[str, list[float]] = {split: [] for split in SPLITS}
        self._sizes: list[tuple[Entry, tuple[int, int]]] = []
        self._depth = DepthCheck(plan, section)
        self._twins = Twins()
        self.sheet = ContactSheet(plan, section.depth_range, _shown_keys(entries))

    def add(self, examined: Examined) -> None:
        """Judge and count one frame."""
        self._findings += examined.findings
        frame = examined.frame
        if frame is None:
            return
        split = frame.entry.split
        self._findings += self._depth.add(frame) + self._twins.add(frame) + self._labels(frame)
        self._statistics[split].add(frame)
        self._valid[split].append(float(frame.depth_counts[1:].sum() / frame.depth_counts.sum()))
        self._sizes.append((frame.entry, frame.size))
        self.sheet.add(frame)

    def result(self, raw: Path, started: float) -> Checked:
        """Everything found; call it once."""
        plan, section = self._plan, self._section
        totals = counted(plan)
        found = [
            *self._findings,
            *self._depth.finish(),
            *self._empty(),
            *self._odd_sizes(),
            *self._scenes(),
        ]
        found += [finding for total in totals for finding in total.findings()]
        return Checked(
            dataset=plan.dataset,
            raw=raw,
            layout=plan.layout,
            depth_scale=plan.depth_scale,
            label_space=plan.label_space,
            findings=[finding.below(raw) for finding in found],
            skipped=list(plan.skipped),
            totals=totals,
            splits={
                split: statistics.as_json(plan.depth_scale, section.depth_range, plan.label_space)
                for split, statistics in self._statistics.items()
            },
            saturated={s: _saturated(one) for s, one in self._statistics.items()},
            valid_shares=self._valid,
            contact=self.sheet.picture() if self.sheet.rows else None,
            facts=plan.facts,
            seconds=time.monotonic() - started,
        )

    def _labels(self, frame: Encoded) -> list[Finding]:
        if frame.class_counts is None:
            return []
        classes = label_space(self._plan.label_space).from_truth[: len(frame.class_counts)]
        if frame.class_counts[classes != IGNORE].any():
            return []
        what = "no pixel has a class that is scored"
        return [Finding("labels empty", frame.entry.source, what, frame.entry.split)]

    def _empty(self) -> list[Finding]:
        """Splits of which prepare would have nothing to store."""
        dropped = Counter(f.split for f in self._findings if f.kind == "no measurement")
        dropped["test"] = 0  # Test frames without depth are stored all the same.
        return [
            Finding("no frames", f"split {split}", "no frame of it can be used", split)
            for split in self._needed
            if self._statistics[split].frames == dropped[split]
        ]

    def _odd_sizes(self) -> list[Finding]:
        if not self._sizes:
            return []
        usual = Counter(size for _, size in self._sizes).most_common(1)[0][0]
        return [
            Finding(
                "another size",
                entry.source,
                f"is {size[0]}x{size[1]}, most frames are {usual[0]}x{usual[1]} (height x width)",
                entry.split,
            )
            for entry, size in self._sizes
            if any(abs(a / b - 1) > _TOLERANCE for a, b in zip(size, usual, strict=True))
        ]

    def _scenes(self) -> list[Finding]:
        """Shared scenes that the reader of the lists let pass; train and val never share one."""
        of = {split: {e.scene for e in self._entries if e.split == split} for split in SPLITS}
        shared = sorted((of["train"] | of["val"]) & of["test"])
        named = ", ".join(shared[:_NAMED])
        what = f"is also in test ({len(shared)} in all: {named})"
        return [Finding("scene in two splits", scene, what, "") for scene in shared]


def _missing(one: Missing) -> Finding:
    return Finding("missing file", one.source, f"{one.kind} of {one.at}", one.split)


def _shown_keys(entries: list[Entry]) -> frozenset[str]:
    """Keys of frames spread evenly over each split."""
    keys = {split: [e.key for e in entries if e.split == split] for split in SPLITS}
    return frozenset(
        of[int(place)]
        for of in keys.values()
        if of
        for place in np.linspace(0, len(of) - 1, _SHOWN_A_SPLIT)
    )


def _saturated(statistics: SplitStatistics) -> float:
    stored = np.flatnonzero(statistics.depth_counts[1:]) + 1
    if not stored.size:
        return 0.0
    return float(statistics.depth_counts[stored[-1]] / statistics.depth_counts[1:].sum())
