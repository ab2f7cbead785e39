"""Official files to shards, checked frame by frame."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from symbio.data.shards import ShardWriter
from symbio.errors import SymbioError
from symbio.files import whole_folder, write_json
from symbio.params import DatasetParams
from symbio.prepare.contact import ContactSheet, shown_keys
from symbio.prepare.encode import Encoded, encode
from symbio.prepare.entry import Entry, Plan, Skipped
from symbio.prepare.holdout import hold_out
from symbio.prepare.layout import open_plan
from symbio.prepare.leaks import LeakCheck
from symbio.prepare.parallel import ordered
from symbio.prepare.report_page import write_page
from symbio.prepare.statistics import SplitStatistics
from symbio.prepare.units import UnitCheck
from symbio.progress import say, track

SPLITS = ("train", "val", "test")


def prepare(
    section: DatasetParams, dataset: str, raw: Path, out: Path, workers: int | None = None
) -> dict[str, Any]:
    """Write the shards, report.json, report.html and contact.png of a data set.

    `out` appears whole or not at all, and its bytes do not depend on `workers`. Training and val
    frames without a measurement inside `section.depth_range` are left out and counted; test
    frames are kept, for the evaluation to count.

    Args:
        section: the data set's section of params.yaml.
        dataset: "nyu" or "kitti".
        raw: folder of the official files.
        out: folder to write.
        workers: threads; None takes every core that this process may use.

    Returns:
        The content of report.json.

    Raises:
        SymbioError: an official file is missing, broken or not what it should be, splits share a
            drive or a picture, or no frame of a split is left.
    """
    with open_plan(dataset, section, raw) as plan:
        entries, holdout = hold_out(plan.entries, section.val_share)
        entries = sorted(entries, key=lambda entry: SPLITS.index(entry.split))
        with whole_folder(out) as folder:
            writer = ShardWriter(folder)
            tally = _Tally(plan, section)
            sheet = ContactSheet(plan, section.depth_range, shown_keys(entries))
            threads = workers or len(os.sched_getaffinity(0))
            for frame in _encoded(plan, entries, sheet, threads, f"prepare {dataset}"):
                if tally.keeps(frame):
                    writer.add(frame.entry.split, frame.entry.key, frame.members, frame.info)
                    sheet.add(frame)
            tally.finish(holdout["by"] != "nothing")
            header = _header(plan, holdout, tally)
            writer.close(header)
            report = tally.report(header)
            write_json(folder / "report.json", report)
            picture = sheet.picture()
            write_page(folder / "report.html", report, picture)
            sheet.write(folder / "contact.png")
    _tell(out, report)
    return report


def _encoded(
    plan: Plan, entries: list[Entry], sheet: ContactSheet, threads: int, what: str
) -> Iterator[Encoded]:
    work = functools.partial(_encode, plan.label_space, sheet)
    return track(ordered(work, entries, threads), what, total=len(entries))


def _encode(label_space: str, sheet: ContactSheet, entry: Entry) -> Encoded:
    return encode(entry, label_space, shown=entry.key in sheet.keys)


class _Tally:
    """Checks and counts frames in the order in which they are stored."""

    def __init__(self, plan: Plan, section: DatasetParams) -> None:
        self._plan = plan
        self._section = section
        self._units = UnitCheck(plan.dataset, plan.depth_scale)
        self._leaks = LeakCheck()
        self._skipped = list(plan.skipped)
        self.statistics = {split: SplitStatistics() for split in SPLITS}
        self.keys: dict[str, list[str]] = {split: [] for split in SPLITS}
        metres = np.arange(65536) / plan.depth_scale
        self._inside = (metres > section.depth_range[0]) & (metres < section.depth_range[1])

    def keeps(self, frame: Encoded) -> bool:
        """Check and count a frame; False if it is left out. Raises SymbioError."""
        split = frame.entry.split
        self._units.add(frame)
        if split != "test" and not frame.depth_counts[self._inside].any():
            low, high = self._section.depth_range
            reason = f"no depth measurement between {low:g} and {high:g} m"
            self._skipped.append(Skipped(split, frame.entry.source, reason))
            return False
        self._leaks.add(frame)
        self.statistics[split].add(frame)
        self.keys[split].append(frame.entry.key)
        return True

    def finish(self, expects_val: bool) -> None:
        """Raises SymbioError if the depth's unit is wrong or a split came out empty."""
        self._units.finish()
        for split in SPLITS:
            if self.keys[split] or (split == "val" and not expects_val):
                continue
            reasons = "; ".join(f"{s.source}: {s.reason}" for s in self._skipped_of(split)[:3])
            raise SymbioError(
                f"{self._plan.dataset}: no frame of split {split!r} is left"
                + (f" ({len(self._skipped_of(split))} left out: {reasons})" if reasons else "")
            )

    def report(self, header: dict[str, Any]) -> dict[str, Any]:
        """Everything counted, with the shards' header."""
        section, plan = self._section, self._plan
        return {
            "header": header,
            "splits": {
                split: statistics.as_json(plan.depth_scale, section.depth_range, plan.label_space)
                for split, statistics in self.statistics.items()
            },
            "skipped": [
                {"split": s.split, "source": s.source, "reason": s.reason} for s in self._skipped
            ],
            "lookalikes": self._leaks.lookalikes(),
        }

    def _skipped_of(self, split: str) -> list[Skipped]:
        return [skipped for skipped in self._skipped if skipped.split == split]


def _header(plan: Plan, holdout: dict[str, Any], tally: _Tally) -> dict[str, Any]:
    return {
        "dataset": plan.dataset,
        "layout": plan.layout,
        "depth_scale": plan.depth_scale,
        "label_space": plan.label_space,
        "splits_sha256": {
            split: hashlib.sha256("\n".join(keys).encode()).hexdigest()
            for split, keys in tally.keys.items()
        },
        "val": holdout,
        **plan.facts,
    }


def _tell(out: Path, report: dict[str, Any]) -> None:
    counts = ", ".join(f"{report['splits'][split]['frames']} {split}" for split in SPLITS)
    left_out = f", {len(report['skipped'])} left out" if report["skipped"] else ""
    say(f"{out}: {counts} frames{left_out}; see report.html there")
    if report["lookalikes"]:
        say(
            f"{out}: {len(report['lookalikes'])} pairs of frames in two splits look alike, first "
            f"{report['lookalikes'][0]}; see report.html"
        )
