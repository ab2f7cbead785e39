"""The state of a real run of two ranks, one of which is stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symbio.ranks.ending import ERRORS_VARIABLE, HUNG, words_in
from symbio.ranks.heartbeat import filesystem_now
from symbio.ranks.place import Place
from symbio.ranks.settings import STEP_TIMEOUT_VARIABLE
from symbio.status.state import RunState, state_of
from tests.train.project import make_project, tiny_params
from tests.train.ranks import End, train_on

LIMIT_S = 22.0


def limited(place: Place, errors: str) -> None:
    os.environ |= {STEP_TIMEOUT_VARIABLE: str(LIMIT_S), ERRORS_VARIABLE: errors}


def state(root: Path) -> RunState:
    run = root / "checkpoints" / "nyu"
    return state_of(run, filesystem_now(run.parent))


def until(root: Path, holds: Callable[[RunState], Any], timeout_s: float = 60.0) -> RunState:
    deadline = time.monotonic() + timeout_s
    while not holds(now := state(root)):
        assert time.monotonic() < deadline, now
        time.sleep(0.2)
    return now


@pytest.mark.slow
def test_a_stopped_rank_is_slow_then_hung_then_dead_and_never_running(tmp_path: Path) -> None:
    root, ends = make_project(tmp_path), list[End]()
    errors = tmp_path / "errors"
    errors.mkdir()

    def train() -> None:
        ends.extend(train_on(2, tiny_params(steps=10_000), root, "auto", limited, str(errors)))

    thread = threading.Thread(target=train)
    thread.start()
    running = until(root, lambda now: now.name == "running" and (now.step or 0) > 5)
    victim = next(rank.beat.pid for rank in running.ranks if rank.beat.rank == 1)
    os.kill(victim, signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        until(root, lambda now: now.name == "slow", 10)
        seen = []
        while not words_in(errors):
            seen.append(state(root).name)
            assert time.monotonic() < stopped + LIMIT_S + 10
            time.sleep(0.2)
        assert time.monotonic() - stopped < LIMIT_S + 5
    finally:
        os.kill(victim, signal.SIGKILL)
        thread.join()
    assert set(seen) == {"slow", "hung"}
    assert seen == sorted(seen, reverse=True), "slow, and from then on hung"
    assert ends[0].code == HUNG
    assert f"rank 1 (process {victim} on " in words_in(errors)[0].message
    until(root, lambda now: now.name == "dead", 15)
