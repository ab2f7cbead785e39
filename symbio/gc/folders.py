"""The project's own folders of results: studies, workspaces, and what was made of versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from symbio.gc.disk import folders_in, remove_folder, weight_of
from symbio.gc.item import (
    COMPARISONS,
    EVALUATIONS,
    RECENT,
    RECORDS,
    REPRODUCTIONS,
    STUDIES,
    TRAININGS,
    WORKSPACES,
    Item,
    is_recent,
)
from symbio.gc.work import UNSENT, is_held, records_below, studies_under_way, why_in_use
from symbio.params import dataset_names
from symbio.status.study import SEARCHES
from symbio.tracking.record import RUN_FILE, RunRecord, record_before
from symbio.tracking.store import locked
from symbio.worktree import git


@dataclass(frozen=True, slots=True)
class RunKeys:
    """Own keys of the store's runs."""

    stay: set[str]
    known: set[str]
    """All that the store has."""

    def why(self, key: str) -> str | None:
        """Why the folder of this run stays; None: its run goes, so it goes first."""
        if key in self.stay:
            return "its run stays"
        return None if key in self.known else "its run is not in this store"


WORKSPACE_FOLDER, REPRODUCTION_FOLDER = "workspaces", "reproductions"
_TRACKING = Path("checkpoints/tracking")
_OF_VERSIONS = (
    (REPRODUCTIONS, REPRODUCTION_FOLDER),
    (COMPARISONS, "comparisons"),
    (EVALUATIONS, "evaluations"),
)
_VERSION = re.compile(r"symbio-([a-z][a-z0-9_]*)-([0-9]+)")
_RUN = re.compile(r"run-([0-9a-f]{8,32})")


def workspaces(root: Path, now: float) -> Iterator[Item]:
    """The worktrees of flows that had other params than params.yaml's."""
    for folder in folders_in(root / WORKSPACE_FOLDER):
        yield _item(WORKSPACES, root, folder, why_in_use(folder, now))


def remove_workspace(path: Path, root: Path) -> None:
    """Remove a worktree of a flow, also from git's list.

    Raises:
        SymbioError: it cannot be removed.
    """
    # The lock under which flows make it (flows/workspace.py).
    with locked(path.with_name(f".{path.name}.lock")):
        remove_worktree(path, root)


def remove_worktree(path: Path, root: Path) -> None:
    """Remove a folder that is, or holds, worktrees, also from git's list. Raises SymbioError."""
    remove_folder(path, root)
    if not (root / ".git").exists():
        return
    place = path.resolve()
    for line in git(root, "worktree", "list", "--porcelain", "-z").split("\0"):
        known = Path(line.removeprefix("worktree "))
        if line.startswith("worktree ") and known.is_relative_to(place):
            git(root, "worktree", "remove", "--force", str(known))


def studies(root: Path, runs: RunKeys, now: float) -> Iterator[Item]:
    """Studies in searches/."""
    living = studies_under_way(root)
    for folder in folders_in(root / SEARCHES):
        record = record_before(folder / "tracking")
        if record is None:
            continue
        why: str | None = living.get(folder.name)
        if why is None and not all(one.stored for one in _of_study(folder)):
            why = UNSENT
        why = why or runs.why(record.key)
        yield _item(STUDIES, root, folder, why, now)


def of_versions(root: Path, stay: set[str], runs: set[str], now: float) -> Iterator[Item]:
    """Folders that are called by versions or runs; they go with any of those they are called by.

    Args:
        root: the project's folder.
        stay: versions that stay, as "symbio-nyu/3".
        runs: ids of runs that stay.
        now: seconds since 1970.
    """
    for kind, parent in _OF_VERSIONS:
        for folder in folders_in(root / parent):
            versions = {f"symbio-{name}/{number}" for name, number in _VERSION.findall(folder.name)}
            named = _RUN.findall(folder.name)
            if versions or named:
                known = all(any(run.startswith(one) for run in runs) for one in named)
                whole = versions <= stay and known
                why = "what it is of stays" if whole else _use_of(folder, now)
                yield _item(kind, root, folder, why, now)


def trainings(root: Path, runs: RunKeys, now: float) -> Iterator[Item]:
    """Checkpoints and records of runs; the newest training of a data set stays."""
    for dataset in dataset_names(root):
        for name, why in ((dataset, f"is the newest of {dataset}"), (f"{dataset}.previous", None)):
            folder = root / "checkpoints" / name
            if folder.is_dir() and not folder.is_symlink():
                yield _item(TRAININGS, root, folder, why, now)
    names = dataset_names(root)
    for folder in folders_in(root / _TRACKING):
        record = record_before(folder)
        if record is not None:
            why = f"is the newest of {folder.name}" if folder.name in names else None
            why = why or (runs.why(record.key) if record.stored else UNSENT)
            yield _item(RECORDS, root, folder, why, now)


def keys_under_way(root: Path) -> dict[str, str]:
    """Own key of a run -> why: runs whose folders stay, whatever the store says of them."""
    found = {}
    for dataset in dataset_names(root):
        record = record_before(root / _TRACKING / dataset)
        if record is not None:
            found[record.key] = f"is the newest training of {dataset} in a checkout"
    for record in records_below(root):
        if not record.stored:
            found[record.key] = UNSENT
    for name, why in studies_under_way(root).items():
        record = record_before(root / SEARCHES / name / "tracking")
        if record is not None:
            found[record.key] = f"study {name} {why}"
    return found


def _of_study(folder: Path) -> Iterator[RunRecord]:
    paths = [
        folder / "tracking",
        *(p.parent for p in folder.glob(f"trial-*/{_TRACKING}/*/{RUN_FILE}")),
    ]
    for path in paths:
        record = record_before(path)
        if record is not None:
            yield record


def _use_of(folder: Path, now: float) -> str | None:
    """Why a result, perhaps with a checkout in it, may not go now."""
    if is_held(folder.with_name(f".{folder.name}.lock")):
        return "is being made"
    for git_file in (folder / ".git", *folder.glob("*/.git")):
        why = why_in_use(git_file.parent, now)
        if why is not None:
            return why
    return None


def _item(kind: str, root: Path, folder: Path, why: str | None, now: float | None = None) -> Item:
    weight = weight_of(folder)
    if why is None and now is not None and is_recent(weight.changed, now):
        why = RECENT
    key = folder.relative_to(root).as_posix()
    return Item(kind, key, key, weight.size, why)
