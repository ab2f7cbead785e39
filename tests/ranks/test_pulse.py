"""Heartbeats that say where a rank is, and the end of ranks that hang, in real processes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.ranks import group
from symbio.ranks.ending import ERRORS_VARIABLE, HUNG, words_in
from symbio.ranks.heartbeat import (
    Heartbeat,
    filesystem_now,
    heartbeat_file,
    read_heartbeats,
    write_heartbeat,
)
from symbio.ranks.place import Place
from symbio.ranks.pulse import Pulse
from symbio.ranks.settings import STEP_TIMEOUT_VARIABLE
from tests.train.ranks import End, run_ranks

BEAT = Heartbeat(0, 1, "here", 17, 5, "data", 0.1, 0.2, 0.3, 300.0, 1.0, 2.0)


def wait_for(holds: Callable[[], Any], timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def opened() -> Iterator[Callable[[Pulse], Pulse]]:
    """Closes pulses after the test, whose process they would end."""
    with contextlib.ExitStack() as held:

        def open_it(pulse: Pulse) -> Pulse:
            held.callback(pulse.close)
            return pulse

        yield open_it


def test_the_heartbeat_says_where_the_rank_is(
    tmp_path: Path, opened: Callable[[Pulse], Pulse]
) -> None:
    folder = tmp_path / "ranks"
    pulse = opened(Pulse(folder, Place(1, 2, 1), limit_s=0.8))
    for step in range(4):
        pulse.beat("data", step)
        time.sleep(0.05)
    pulse.start()
    wait_for(lambda: read_heartbeats(folder))
    [found] = read_heartbeats(folder)
    beat = found.beat
    assert (beat.rank, beat.world, beat.pid, beat.step) == (1, 2, os.getpid(), 3)
    assert beat.phase == "data"
    assert beat.step_s == pytest.approx(0.05, rel=0.5)
    assert beat.started <= found.written <= filesystem_now(folder)
    before = time.monotonic()
    while time.monotonic() < before + 0.5:  # a second write, with the progress of then
        pulse.beat("backward")
        time.sleep(0.01)
    [found] = read_heartbeats(folder)
    assert found.beat.phase == "backward"
    assert found.beat.since_progress_s < 0.3
    assert found.beat.in_step_s == pytest.approx(0.5, abs=0.3)
    pulse.close()
    assert list(folder.iterdir()) == []
    time.sleep(0.9)  # past the limit: nobody watches any more


def test_no_disk_costs_the_heartbeat_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    pulse = Pulse(tmp_path / "file" / "ranks", Place(0, 1, 0), limit_s=60)
    pulse.start()
    pulse.beat("data", 1)
    time.sleep(0.1)
    pulse.close()


def test_a_full_disk_keeps_the_heartbeat_going(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        assert write_heartbeat(folder, BEAT)
        with contextlib.suppress(OSError), (folder / "fill").open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
        later = Heartbeat(**{**vars_of(BEAT), "step": 6, "phase": "go"})
        assert write_heartbeat(folder, later)
        assert [found.beat for found in read_heartbeats(folder)] == [later]
        assert sorted(path.name for path in folder.iterdir()) == ["fill", "rank-0.json"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def vars_of(beat: Heartbeat) -> dict[str, Any]:
    return {name: getattr(beat, name) for name in Heartbeat.__slots__}


def test_garbled_and_foreign_heartbeats_are_passed_over(tmp_path: Path) -> None:
    write_heartbeat(tmp_path, BEAT)
    heartbeat_file(tmp_path, 1).write_text('{"rank": 1')
    heartbeat_file(tmp_path, 2).write_text('{"rank": 2, "more": 3}')
    assert [found.beat for found in read_heartbeats(tmp_path)] == [BEAT]


def together(place: Place, root: Path, limit_s: float, stops: str) -> None:
    """Steps that end in an exchange; in the fifth, rank 1 stops."""
    os.environ |= {ERRORS_VARIABLE: str(root), STEP_TIMEOUT_VARIABLE: str(limit_s)}
    group.join(place, torch.device("cpu"))
    pulse = Pulse(root / "ranks", place, limit_s)
    pulse.start()
    for step in range(10_000):
        pulse.beat("data", step)
        if place.rank == 1 and step == 5:
            (root / "stopped").write_text(json.dumps([os.getpid(), time.time()]))
            if stops == "stopped":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif stops == "asleep":
                time.sleep(600)
        pulse.beat("exchange")
        group.total(torch.zeros(1))
        time.sleep(0.01)


def run_until_told(root: Path, limit_s: float, stops: str) -> tuple[list[End], float]:
    """The ranks' ends, and seconds from the stop of rank 1 to the first last word."""

    def kill_the_stopped() -> None:
        wait_for(lambda: words_in(root), limit_s + 30)
        os.kill(json.loads((root / "stopped").read_text())[0], signal.SIGKILL)

    helper = threading.Thread(target=kill_the_stopped, daemon=True)
    if stops == "stopped":
        helper.start()
    ends = run_ranks(2, together, root, limit_s, stops, timeout_s=limit_s + 40)
    stopped_at = json.loads((root / "stopped").read_text())[1]
    return ends, words_in(root)[0].time - stopped_at


def test_a_stopped_rank_is_named_by_the_one_that_waits(tmp_path: Path) -> None:
    ends, noticed_s = run_until_told(tmp_path, 4.0, "stopped")
    assert ends[0].code == HUNG
    assert 3.9 < noticed_s < 4.0 + 5.0
    [word] = words_in(tmp_path)
    assert (word.rank, word.kind) == (0, "Hung")
    pid = json.loads((tmp_path / "stopped").read_text())[0]
    assert word.message.startswith("no progress for 4 s in exchange of step 5 (limit: 4 s")
    assert f"behind: rank 1 (process {pid} on " in word.message
    assert "stopped or dead" in word.message
    assert word.message in ends[0].said
    assert "in together" in ends[0].said, "the stack of the main thread"


@pytest.mark.slow
def test_a_rank_that_sleeps_ends_itself_and_says_that_it_is_the_one(tmp_path: Path) -> None:
    ends, noticed_s = run_until_told(tmp_path, 4.0, "asleep")
    assert ends[1].code == HUNG
    assert ends[0].code != 0
    assert noticed_s < 4.0 + 5.0
    # The one that waits for it has as little progress, and may speak first.
    [word] = [word for word in words_in(tmp_path) if word.rank == 1]
    assert "in data of step 5" in word.message
    assert "no other rank is behind" in word.message


def never_yields(place: Place, root: Path) -> None:
    """Sleep in C without letting any other thread of Python run."""
    pulse = Pulse(root, place, 1.0)
    pulse.start()
    time.sleep(0.5)
    ctypes.PyDLL(None).sleep(120)


@pytest.mark.slow
def test_a_call_that_lets_no_thread_run_is_ended_too(tmp_path: Path) -> None:
    start = time.monotonic()
    [end] = run_ranks(1, never_yields, tmp_path, timeout_s=60)
    assert end.code == 1
    assert time.monotonic() - start < 25
    assert "in never_yields" in end.said
