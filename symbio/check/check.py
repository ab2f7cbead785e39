"""Every file of a raw folder decoded and judged, in one pass and bounded memory."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from symbio.check.checked import Checked
from symbio.check.examination import SPLITS, Examination
from symbio.check.frame import Examined, examine
from symbio.params import DatasetParams
from symbio.prepare.contact import ContactSheet
from symbio.prepare.entry import Entry
from symbio.prepare.holdout import hold_out
from symbio.prepare.layout import open_plan
from symbio.prepare.parallel import ordered
from symbio.progress import track


def check(section: DatasetParams, dataset: str, raw: Path, workers: int | None = None) -> Checked:
    """Find everything that is wrong with a raw folder; nothing is written.

    Args:
        section: the data set's section of params.yaml.
        dataset: its name there.
        raw: folder of the official files.
        workers: threads; None takes every core that this process may use.

    Raises:
        SymbioError: the folder is missing, holds no known layout, or a file without which no
            frame can be named (a list, the labelled .mat) is missing or broken.
    """
    started = time.monotonic()
    with open_plan(dataset, section, raw, strict=False) as plan:
        entries, holdout = hold_out(plan.entries, section.val_share)
        entries = sorted(entries, key=lambda entry: SPLITS.index(entry.split))
        needed = SPLITS if holdout["by"] != "nothing" else ("train", "test")
        examination = Examination(plan, section, entries, needed)
        work = functools.partial(_examine, plan.label_space, examination.sheet)
        threads = workers or len(os.sched_getaffinity(0))
        frames = ordered(work, entries, threads)
        for examined in track(frames, f"check {dataset}", total=len(entries)):
            examination.add(examined)
        return examination.result(raw, started)


def _examine(labels: str, sheet: ContactSheet, entry: Entry) -> Examined:
    return examine(entry, labels, shown=entry.key in sheet.keys)
