"""What a run is said to be, from files whose age and content are set by hand."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from symbio.ranks.heartbeat import Heartbeat, heartbeat_file, ranks_folder, write_heartbeat
from symbio.status.run import described
from symbio.status.run import run as status_verb
from symbio.status.state import RunState, state_of
from symbio.train.records.status import STATUS_FILE, State, write_status

NOW = 1_900_000_000.0
USUAL = Heartbeat(
    rank=0,
    world=2,
    host="another-host",
    pid=1,
    step=57,
    phase="backward",
    since_progress_s=0.1,
    in_step_s=0.3,
    step_s=0.5,
    limit_s=300.0,
    started=NOW - 1000,
    time=0.0,
)


class Files:
    """A run's files, each as old as wanted."""

    def __init__(self, root: Path) -> None:
        self.run = root / "checkpoints" / "nyu"
        self.run.mkdir(parents=True)

    def status(self, state: State, age_s: float, **facts: Any) -> None:
        write_status(self.run, state, step=50, steps=300, **facts)
        self._date(self.run / STATUS_FILE, age_s)

    def beat(self, rank: int, age_s: float = 1.0, **changes: Any) -> None:
        beat = dataclasses.replace(USUAL, rank=rank, **changes)
        write_heartbeat(ranks_folder(self.run), beat)
        self._date(heartbeat_file(ranks_folder(self.run), rank), age_s)

    def state(self) -> RunState:
        return state_of(self.run, NOW)

    def _date(self, path: Path, age_s: float) -> None:
        os.utime(path, (NOW - age_s, NOW - age_s))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A run said to be running since a while."""
    made = Files(tmp_path)
    made.status("running", 900)
    return made


def test_steps_that_advance_are_running(files: Files) -> None:
    files.beat(0)
    files.beat(1)
    state = files.state()
    assert (state.name, state.step, state.steps) == ("running", 57, 300)
    assert described("nyu", state).splitlines()[0] == "nyu: running at step 57 of 300"
    assert len(described("nyu", state).splitlines()) == 4


@pytest.mark.parametrize("phase", ["starting", "opening", "validating", "checkpoint"])
def test_long_work_that_gets_on_is_running(files: Files, phase: str) -> None:
    for rank in (0, 1):
        files.beat(rank, phase=phase, in_step_s=200.0, since_progress_s=3.0)
    assert files.state().name == "running"
    files.beat(1, phase=phase, in_step_s=200.0, since_progress_s=40.0)
    state = files.state()
    assert state.name == "slow"
    assert phase in state.why


def test_a_step_of_more_than_five_median_ones_is_slow(files: Files) -> None:
    files.beat(0)
    files.beat(1, in_step_s=2.4)
    assert files.state().name == "running"
    files.beat(1, in_step_s=2.6)
    state = files.state()
    assert state.name == "slow"
    assert "rank 1 has been at step 57 for 2.6 s (median 0.5 s)" in state.why


def test_no_progress_within_the_limit_is_hung_whoever_breathes(files: Files) -> None:
    for rank in (0, 1):
        files.beat(rank, since_progress_s=301.0, in_step_s=301.0)
    state = files.state()
    assert state.name == "hung"
    assert "301 s in backward of step 57" in state.why


def test_a_stopped_rank_that_others_wait_for_is_hung(files: Files) -> None:
    files.beat(0, since_progress_s=20.0, in_step_s=20.0)
    files.beat(1, age_s=21.0)
    state = files.state()
    assert state.name == "hung"
    assert "rank 1 (process 1 on another-host) gave its last heartbeat 21 s ago" in state.why
    assert "the others wait" in state.why
    assert "stopped, dead or out of reach" in described("nyu", state)


def test_a_rank_whose_disk_is_gone_does_not_hang_the_others(files: Files) -> None:
    files.beat(0)
    files.beat(1, age_s=21.0)
    assert files.state().name == "slow"


def test_old_heartbeats_are_dead_whatever_the_status_says(files: Files) -> None:
    files.beat(0, age_s=16)
    files.beat(1, age_s=17)
    assert files.state().name == "dead"


def test_running_without_a_heartbeat_is_dead(files: Files) -> None:
    assert files.state().name == "dead"


def test_a_process_that_is_gone_from_this_host_is_dead_at_once(files: Files) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    files.beat(0, age_s=5, world=1, host=socket.gethostname(), pid=gone.pid)
    assert files.state().name == "dead"
    files.beat(0, age_s=5, world=1, host=socket.gethostname(), pid=os.getpid())
    assert files.state().name == "running"
    files.beat(0, age_s=1, world=1, host=socket.gethostname(), pid=gone.pid)
    assert files.state().name == "running", "its heartbeat is too young for a dead process"


@pytest.mark.parametrize("ended", ["finished", "preempted", "interrupted", "failed"])
def test_an_end_stands_until_ranks_start_again(files: Files, ended: State) -> None:
    files.status(ended, 3, message="why it ended")
    files.beat(0, age_s=1)
    assert files.state().name == ended
    assert "why it ended" in files.state().why
    files.beat(0, age_s=0.5, started=NOW - 2, phase="opening", step=None, in_step_s=None)
    assert files.state().name == "running"
    files.beat(0, age_s=100, started=NOW - 200)
    assert files.state().name == ended


def test_heartbeats_of_an_earlier_start_do_not_count(files: Files) -> None:
    files.beat(0, world=2, started=NOW - 10, phase="opening")
    files.beat(1, age_s=500, world=4, started=NOW - 2000)
    files.beat(3, age_s=500, world=4, started=NOW - 2000)
    state = files.state()
    assert state.name == "running"
    assert [rank.beat.rank for rank in state.ranks] == [0]
    assert "1 more without a heartbeat here" in described("nyu", state)


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_verb("nyu", tmp_path) == 1
    assert "no run has been started" in capsys.readouterr().out
    run = tmp_path / "checkpoints" / "nyu"
    run.mkdir(parents=True)
    for ended, code in {"finished": 0, "preempted": 1, "failed": 1, "running": 1}.items():
        write_status(run, ended, step=3, steps=4)  # type: ignore[arg-type]
        assert status_verb("nyu", tmp_path) == code
        assert status_verb(None, tmp_path) == code
    assert "nyu: dead at step 3 of 4" in capsys.readouterr().out
    write_heartbeat(ranks_folder(run), dataclasses.replace(USUAL, world=1, started=0.0))
    assert status_verb("nyu", tmp_path) == 0
    assert "nyu: running at step 57 of 4" in capsys.readouterr().out
