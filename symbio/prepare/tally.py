"""Checks and counts of the frames, in the order in which they are stored."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from symbio.errors import SymbioError
from symbio.params import DatasetParams
from symbio.prepare.encode import Encoded
from symbio.prepare.entry import Plan, Skipped
from symbio.prepare.leaks import LeakCheck
from symbio.prepare.part import Part, Seen
from symbio.prepare.statistics import SplitStatistics, quantile
from symbio.prepare.units import UnitCheck

SPLITS = ("train", "val", "test")


class Tally:
    """Checks frames one by one and counts them shard by shard."""

    def __init__(self, plan: Plan, section: DatasetParams) -> None:
        self._plan = plan
        self._section = section
        self._units = UnitCheck(plan.dataset, plan.depth_scale)
        self._leaks = LeakCheck()
        self._skipped = list(plan.skipped)
        self._statistics = {split: SplitStatistics() for split in SPLITS}
        self._keys: dict[str, list[str]] = {split: [] for split in SPLITS}
        metres = np.arange(65536) / plan.depth_scale
        self._inside = (metres > section.depth_range[0]) & (metres < section.depth_range[1])

    def check(self, frame: Encoded) -> Seen:
        """Check a frame and say whether it is left out. Raises SymbioError."""
        entry, counts = frame.entry, frame.depth_counts
        left_out = ""
        if entry.split != "test" and not counts[self._inside].any():
            low, high = self._section.depth_range
            left_out = f"no depth measurement between {low:g} and {high:g} m"
        seen = Seen(
            split=entry.split,
            key=entry.key,
            source=entry.source,
            median=quantile(counts, 0.5) if counts[1:].any() else None,
            pixels_sha256=frame.pixels_sha256,
            thumb=frame.thumb,
            left_out=left_out,
        )
        self.check_again(seen)
        return seen

    def check_again(self, seen: Seen) -> None:
        """Check what is remembered of a frame against the others. Raises SymbioError."""
        self._units.add(seen.source, seen.median)
        if not seen.left_out:
            self._leaks.add(seen.split, seen.source, seen.pixels_sha256, seen.thumb)

    def count(self, part: Part) -> None:
        """Count the frames of a finished shard, which are of one split."""
        for seen in part.seen:
            if seen.left_out:
                self._skipped.append(Skipped(seen.split, seen.source, seen.left_out))
            else:
                self._keys[seen.split].append(seen.key)
        stored = [seen.split for seen in part.seen if not seen.left_out]
        if stored:
            self._statistics[stored[0]].merge(part.statistics)

    def finish(self, expects_val: bool) -> None:
        """Raises SymbioError if the depth's unit is wrong or a split came out empty."""
        self._units.finish()
        for split in SPLITS:
            if self._keys[split] or (split == "val" and not expects_val):
                continue
            skipped = [skipped for skipped in self._skipped if skipped.split == split]
            reasons = "; ".join(f"{s.source}: {s.reason}" for s in skipped[:3])
            raise SymbioError(
                f"{self._plan.dataset}: no frame of split {split!r} is left"
                + (f" ({len(skipped)} left out: {reasons})" if reasons else "")
            )

    def header(self, holdout: dict[str, Any]) -> dict[str, Any]:
        """The header of the shards' index."""
        plan = self._plan
        return {
            "dataset": plan.dataset,
            "layout": plan.layout,
            "depth_scale": plan.depth_scale,
            "label_space": plan.label_space,
            "splits_sha256": {
                split: hashlib.sha256("\n".join(keys).encode()).hexdigest()
                for split, keys in self._keys.items()
            },
            "val": holdout,
            **plan.facts,
        }

    def report(self, header: dict[str, Any]) -> dict[str, Any]:
        """Everything counted, with the shards' header."""
        section, plan = self._section, self._plan
        return {
            "header": header,
            "splits": {
                split: statistics.as_json(plan.depth_scale, section.depth_range, plan.label_space)
                for split, statistics in self._statistics.items()
            },
            "skipped": [
                {"split": s.split, "source": s.source, "reason": s.reason} for s in self._skipped
            ],
            "lookalikes": self._leaks.lookalikes(),
        }
