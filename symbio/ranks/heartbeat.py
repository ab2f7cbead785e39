"""A rank's heartbeat: a small file that says where the rank is, and by its age that it lives.

Ages are judged by the modification times that the filesystem gives, against a time taken from the
same filesystem (`filesystem_now`): the clocks of hosts differ, the disk they share has one. On
disks that hosts do not share, each sees the ranks of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

EVERY_S = 2.0
"""Between two writes of a heartbeat."""
STALE_S = 15.0
"""A heartbeat older than this belongs to a rank that is stopped, dead or out of reach."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Where a rank was when it last said so."""

    rank: int
    world: int
    host: str
    pid: int
    step: int | None
    """The step at work, which is also the number of steps done; None before the first."""
    phase: str
    since_progress_s: float
    in_step_s: float | None
    """Since the step at work began."""
    step_s: float | None
    """Median time of the last steps; None before two have begun."""
    limit_s: float
    """Time without progress after which the rank ends itself."""
    started: float
    """When the rank wrote its first heartbeat, by the filesystem's clock."""
    time: float
    """When it wrote this one, by its host's clock."""


@dataclass(frozen=True, slots=True)
class Found:
    """A heartbeat as it was found."""

    beat: Heartbeat
    written: float
    """Modification time of its file, seconds since 1970 by the filesystem's clock."""


def ranks_folder(run: Path) -> Path:
    """Where the ranks of the run in `run` leave their heartbeats: beside it, as its lock is."""
    return run.with_name(f".{run.name}.ranks")


def heartbeat_file(folder: Path, rank: int) -> Path:
    """A rank's heartbeat."""
    return folder / f"rank-{rank}.json"


def write_heartbeat(folder: Path, beat: Heartbeat) -> bool:
    """Write a heartbeat, whole and without fsync; returns whether that could be done.

    On a full disk the old file is overwritten in place, which needs no room.
    """
    path, text = heartbeat_file(folder, beat.rank), json.dumps(asdict(beat))
    aside = path.with_name(f".{path.name}.{beat.pid}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        return _overwritten(path, text)
    return True


def read_heartbeats(folder: Path) -> list[Found]:
    """The heartbeats in a folder, in rank order; one that cannot be read is passed over."""
    found = []
    for path in folder.glob("rank-*.json"):
        # Opened before its age is asked for: network filesystems look again only then.
        with (
            contextlib.suppress(OSError, ValueError, TypeError),
            path.open(encoding="utf-8") as file,
        ):
            written = os.fstat(file.fileno()).st_mtime
            found.append(Found(Heartbeat(**json.load(file)), written))
    return sorted(found, key=lambda one: one.beat.rank)


def filesystem_now(folder: Path) -> float:
    """The time by the clock of `folder`'s filesystem; where it cannot be written, the host's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"now")
            probe.flush()
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return time.time()


def _overwritten(path: Path, text: str) -> bool:
    try:
        with path.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()
    except OSError:
        return False
    return True
