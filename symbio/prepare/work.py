"""The folder in which `prepare` works: one run at a time, and only for what it was begun with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from symbio.held_folder import held_folder
from symbio.params import DatasetParams
from symbio.prepare.entry import Entry, Plan

_VERSION = 1
"""Raised when the same files and settings begin to give other shards or another report."""
_NO_MATTER = {"raw", "image_size", "protocol", "sample"}
"""Params that change nothing in what is prepared; the raw folder is looked at itself."""


def made_from(
    plan: Plan, entries: list[Entry], section: DatasetParams, raw: Path, shard_bytes: int
) -> str:
    """A name, 16 hexadecimal digits, for everything that the prepared folder follows from.

    Raw files are known by their sizes and times: to read them is the work to be saved.
    """
    digest = hashlib.sha256()
    facts = {
        "version": _VERSION,
        "shard_bytes": shard_bytes,
        "section": section.model_dump(mode="json", exclude=_NO_MATTER),
        "plan": [plan.dataset, plan.layout, plan.depth_scale, plan.label_space, plan.facts],
        "skipped": [[s.split, s.source, s.reason] for s in plan.skipped],
        "entries": [[e.key, e.split, e.scene, e.source] for e in entries],
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for line in _files(raw):
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _files(raw: Path) -> Iterator[str]:
    """Name, size and time of change of each file below `raw`; links are followed."""
    visited = set()
    for folder, folders, names in os.walk(raw, followlinks=True):
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in visited:
            folders.clear()  # A link that leads back.
            continue
        visited.add((state.st_dev, state.st_ino))
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):  # A link that leads nowhere.
                state = os.stat(path)
                yield f"{path[len(str(raw)) :]}\0{state.st_size}\0{state.st_mtime_ns}\n"


@contextlib.contextmanager
def work_folder(parent: Path, name: str) -> Iterator[Path]:
    """`parent`/`name`, held by this run alone; removed when the block ends without error.

    What other settings or other files left in `parent` is removed at once. After an error, or a
    kill, the finished shards stay for the next run.

    Raises:
        SymbioError: another run is at work there, or the place cannot be written.
    """
    with held_folder(parent, name, "prepare") as work:
        try:
            yield work
        except BaseException:
            if not any(work.glob("part-*.json")):
                shutil.rmtree(parent, ignore_errors=True)
            raise
        shutil.rmtree(parent, ignore_errors=True)
