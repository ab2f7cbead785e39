"""Work that is under way in a checkout, and what its folders still owe the tracking store."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from symbio.files import read_json
from symbio.gc.disk import weight_of
from symbio.gc.item import RECENT, is_recent
from symbio.params import dataset_names
from symbio.ranks.heartbeat import filesystem_now
from symbio.status.state import Name, state_of
from symbio.status.study import studies_in
from symbio.tracking.record import RUN_FILE, RunRecord, record_before

LIVING: tuple[Name, ...] = ("running", "slow", "hung")
"""States of a training that has processes."""
_STUDY_LIVES = ("running", "unknown")
_FLOW_LOCKS = Path(".dvc/tmp/flows")
UNSENT = "the store has not got all of it; `symbio sync` sends it"


def why_in_use(checkout: Path, now: float) -> str | None:
    """Why nobody may take a checkout away now; None: nothing is done in it.

    Args:
        checkout: its folder.
        now: seconds since 1970.
    """
    if is_held(checkout.with_name(f".{checkout.name}.lock")):
        return "is being made"
    if _is_locked(checkout):
        return "is locked by `git worktree lock`"
    for dataset in dataset_names(checkout):
        run = checkout / "checkpoints" / dataset
        if run.is_dir() and state_of(run, filesystem_now(run.parent)).name in LIVING:
            return f"{dataset} is being trained in it"
    for name, why in studies_under_way(checkout).items():
        return f"study {name} in it {why}"
    if _flow_holds(checkout):
        return "a flow works in it"
    if any(not record.stored for record in records_below(checkout)):
        return UNSENT
    return RECENT if is_recent(weight_of(checkout).changed, now) else None


def studies_under_way(checkout: Path) -> dict[str, str]:
    """Name -> why: studies that are being worked on, or whose database does not say."""
    found = studies_in(checkout)
    return {
        one.name: "is running" if one.state == "running" else f"cannot be judged: {one.why}"
        for one in found
        if one.state in _STUDY_LIVES
    }


def records_below(checkout: Path) -> Iterator[RunRecord]:
    """Records of all runs whose folders are in a checkout."""
    places = (
        f"checkpoints/tracking/*/{RUN_FILE}",
        f"searches/*/tracking/{RUN_FILE}",
        f"searches/*/trial-*/checkpoints/tracking/*/{RUN_FILE}",
    )
    for place in places:
        for path in sorted(checkout.glob(place)):
            record = record_before(path.parent)
            if record is not None:
                yield record


def weights_here(checkout: Path) -> list[str]:
    """SHA-256 of the weights of the networks in models/."""
    found = []
    for dataset in dataset_names(checkout):
        card = checkout / "models" / dataset / "model.json"
        if card.is_file():
            found.append(str(read_json(card, "a network's description").get("weights_sha256")))
    return found


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path` (flock); it need not be there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_locked(worktree: Path) -> bool:
    """Whether `git worktree lock` was said: git notes it beside what it knows of the worktree."""
    link = worktree / ".git"
    if not link.is_file():
        return False
    told = link.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    return (worktree / told / "locked").exists()


def _flow_holds(checkout: Path) -> bool:
    """Whether a flow holds, or waits for, a stage of this checkout."""
    return any(is_held(path) for path in (checkout / _FLOW_LOCKS).glob("*.lock"))
