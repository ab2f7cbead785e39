"""Official files to shards, checked frame by frame."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbio.data.shard_writer import SHARD_BYTES
from symbio.files import whole_folder, write_json
from symbio.params import DatasetParams
from symbio.prepare.contact import ContactSheet, shown_keys
from symbio.prepare.encode import Encoded, encode
from symbio.prepare.entry import Entry
from symbio.prepare.holdout import hold_out
from symbio.prepare.layout import open_plan
from symbio.prepare.parallel import ordered
from symbio.prepare.report_page import write_page
from symbio.prepare.store import Store
from symbio.prepare.tally import SPLITS, Tally
from symbio.prepare.work import made_from, work_folder
from symbio.progress import say, track


def prepare(
    section: DatasetParams,
    dataset: str,
    raw: Path,
    out: Path,
    work: Path,
    workers: int | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> dict[str, Any]:
    """Write the shards, report.json, report.html and contact.png of a data set.

    `out` appears whole or not at all, and its bytes depend neither on `workers` nor on
    interruptions: finished shards are kept in `work`, and the next call with the same params and
    raw files goes on after them. Training and val frames without a measurement inside
    `section.depth_range` are left out and counted; test frames are kept, for the evaluation to
    count.

    Args:
        section: the data set's section of params.yaml.
        dataset: nyu, kitti or a key of `custom`.
        raw: folder of the official files.
        out: folder to write.
        work: folder for what is not finished, on the disk of `out`; gone when all is done.
        workers: threads; None takes every core that this process may use.
        shard_bytes: of a typical shard.

    Returns:
        The content of report.json.

    Raises:
        SymbioError: an official file is missing, broken or not what it should be, splits share a
            drive or a picture, no frame of a split is left, or another run is at work.
    """
    with open_plan(dataset, section, raw) as plan:
        entries, holdout = hold_out(plan.entries, section.val_share)
        entries = sorted(entries, key=lambda entry: SPLITS.index(entry.split))
        name = made_from(plan, entries, section, raw, shard_bytes)
        with work_folder(work, name) as kept, whole_folder(out) as folder:
            tally = Tally(plan, section)
            sheet = ContactSheet(plan, section.depth_range, shown_keys(entries))
            store = Store(kept, shard_bytes, tally, sheet)
            if store.entries:
                say(f"{out}: goes on after {store.entries} frames, which are finished")
            todo = entries[store.entries :]
            threads = workers or len(os.sched_getaffinity(0))
            for frame in _encoded(plan.label_space, todo, sheet, threads, f"prepare {dataset}"):
                store.add(frame)
            store.finish()
            tally.finish(holdout["by"] != "nothing")
            header = tally.header(holdout)
            store.close(header)
            report = tally.report(header)
            write_json(store.made / "report.json", report)
            picture = sheet.picture()
            write_page(store.made / "report.html", report, picture)
            sheet.write(store.made / "contact.png")
            store.place(folder)
    _tell(out, report)
    return report


def _encoded(
    label_space: str, entries: list[Entry], sheet: ContactSheet, threads: int, what: str
) -> Iterator[Encoded]:
    work = functools.partial(_encode, label_space, sheet)
    return track(ordered(work, entries, threads), what, total=len(entries))


def _encode(label_space: str, sheet: ContactSheet, entry: Entry) -> Encoded:
    return encode(entry, label_space, shown=entry.key in sheet.keys)


def _tell(out: Path, report: dict[str, Any]) -> None:
    counts = ", ".join(f"{report['splits'][split]['frames']} {split}" for split in SPLITS)
    left_out = f", {len(report['skipped'])} left out" if report["skipped"] else ""
    say(f"{out}: {counts} frames{left_out}; see report.html there")
    if report["lookalikes"]:
        say(
            f"{out}: {len(report['lookalikes'])} pairs of frames in two splits look alike, first "
            f"{report['lookalikes'][0]}; see report.html"
        )
