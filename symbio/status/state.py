"""The state of a run, told from its files and the time: whether its steps advance.

A process that exists, or a status file that says "running", proves nothing: a collective that
hangs has both. What counts is how long ago each rank got on, which its heartbeat tells. Ages are
by the clock of the filesystem that holds the files (`symbio.ranks.heartbeat.filesystem_now`), so
the hosts' own clocks may differ. Ranks on a disk that is not seen from here are not judged.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from symbio.ranks.heartbeat import (
    EVERY_S,
    STALE_S,
    Found,
    Heartbeat,
    ranks_folder,
    read_heartbeats,
)
from symbio.train.records.status import STATUS_FILE, read_status

Name = Literal[
    "running",
    "slow",
    "hung",
    "dead",
    "finished",
    "preempted",
    "interrupted",
    "abandoned",
    "failed",
    "none",
]
UNDER_WAY: tuple[Name, ...] = ("running", "slow", "hung", "dead")
"""States of a run that has not said how it ended."""

_SLOW = 5.0
"""A step that takes longer than this many median ones is slow."""
_OF_A_STEP = ("data", "forward", "backward", "optimizer")


@dataclass(frozen=True, slots=True)
class RankState:
    """One rank, as far as it can be seen from here."""

    beat: Heartbeat
    age_s: float
    """Of its heartbeat."""
    alive: bool
    """Whether the heartbeat is young enough, and its process not known to be gone."""

    @property
    def place(self) -> str:
        """What it is at, in words."""
        beat = self.beat
        return beat.phase if beat.step is None else f"{beat.phase} of step {beat.step}"


@dataclass(frozen=True, slots=True)
class RunState:
    """What a run is really doing."""

    name: Name
    why: str
    """In words."""
    step: int | None
    """Steps done."""
    steps: int | None
    """Steps wanted."""
    ranks: list[RankState]
    """Of a run under way, in rank order, those whose heartbeats are here."""


def state_of(run: Path, now: float) -> RunState:
    """The state of the run in folder `run` (checkpoints/{dataset}).

    Only reads files, and looks whether processes of this host exist.

    Args:
        run: the folder; it need not exist.
        now: seconds since 1970 by the clock of the filesystem that holds it.
    """
    status = read_status(run)
    ranks = [_rank(found, now) for found in _newest(read_heartbeats(ranks_folder(run)))]
    steps = None if status is None else status.get("steps")
    done = None if status is None else status.get("step")
    if status is None and not ranks:
        return RunState("none", "no run has been started", None, None, [])
    if status is not None and status["state"] != "running" and not _restarted(run, ranks):
        return RunState(status["state"], status.get("message", ""), done, steps, [])
    done = max([rank.beat.step for rank in ranks if rank.beat.step is not None], default=done)
    name, why = _judged(ranks)
    return RunState(name, why, done, steps, ranks)


def _judged(ranks: list[RankState]) -> tuple[Name, str]:
    """The state of a run that has not ended in order."""
    alive = [rank for rank in ranks if rank.alive]
    lost = [rank for rank in ranks if not rank.alive]
    if not ranks:
        return "dead", "no rank has a heartbeat, and nobody said how the run ended"
    if not alive:
        return "dead", "; ".join(_loss(rank) for rank in lost)
    stuck = max(alive, key=lambda rank: rank.beat.since_progress_s)
    idle = f"rank {stuck.beat.rank} has not got on for {stuck.beat.since_progress_s:.0f} s in "
    idle += stuck.place
    if stuck.beat.since_progress_s > stuck.beat.limit_s:
        return "hung", idle
    delayed = next((rank for rank in alive if _is_slow(rank)), None)
    if lost:
        losses = "; ".join(_loss(rank) for rank in lost)
        if all(_waits(rank) for rank in alive):
            return "hung", f"{losses}; the others wait"
        return "slow", f"{losses}; the others get on"
    if delayed is not None:
        return "slow", _delay(delayed)
    return "running", ""


def _newest(found: list[Found]) -> list[Found]:
    """The heartbeats of the last start: those written since its last rank began.

    A run that was killed leaves heartbeats behind, perhaps of more ranks than it has now.
    """
    if not found:
        return []
    youngest = max(found, key=lambda one: one.beat.started)
    return [
        one
        for one in found
        if one.beat.rank < youngest.beat.world and one.written >= youngest.beat.started
    ]


def _restarted(run: Path, ranks: list[RankState]) -> bool:
    """Whether ranks live that were started after the run's status was written."""
    written = (run / STATUS_FILE).stat().st_mtime
    return any(rank.alive and rank.beat.started > written for rank in ranks)


def _rank(found: Found, now: float) -> RankState:
    age_s = max(0.0, now - found.written)
    # A process that cannot be seen may be in another container; its heartbeat shows that it lives.
    gone = age_s > 2 * EVERY_S and _is_gone(found.beat)
    return RankState(found.beat, age_s, alive=age_s <= STALE_S and not gone)


def _is_gone(beat: Heartbeat) -> bool:
    if beat.host != socket.gethostname():
        return False
    try:
        os.kill(beat.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _is_slow(rank: RankState) -> bool:
    beat = rank.beat
    if rank.age_s > 3 * EVERY_S:
        return True
    if beat.phase in _OF_A_STEP and beat.step_s is not None and beat.in_step_s is not None:
        return beat.in_step_s > max(_SLOW * beat.step_s, EVERY_S)
    return beat.since_progress_s > STALE_S


def _waits(rank: RankState) -> bool:
    """Whether a rank stands still for longer than steps usually take."""
    usual_s = _SLOW * (rank.beat.step_s or 0.0)
    return rank.beat.since_progress_s > max(usual_s, EVERY_S)


def _loss(rank: RankState) -> str:
    beat = rank.beat
    name = f"rank {beat.rank} (process {beat.pid} on {beat.host})"
    return f"{name} gave its last heartbeat {rank.age_s:.0f} s ago, in {rank.place}"


def _delay(rank: RankState) -> str:
    beat = rank.beat
    if rank.age_s > 3 * EVERY_S:
        return f"rank {beat.rank} gave its last heartbeat {rank.age_s:.0f} s ago"
    if beat.phase in _OF_A_STEP and beat.step_s is not None and beat.in_step_s is not None:
        return (
            f"rank {beat.rank} has been at step {beat.step} for {beat.in_step_s:.1f} s "
            f"(median {beat.step_s:.2g} s), now in {beat.phase}"
        )
    return f"rank {beat.rank} has not got on for {beat.since_progress_s:.0f} s in {rank.place}"
