"""Two flows that want the same stage: the second waits, says so, and then goes on."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from flows.turns import turn


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    lock, said, order = tmp_path / "train@nyu.lock", [], []

    def second() -> None:
        with turn(lock, "train-nyu/second", said.append):
            order.append("second")

    with turn(lock, "train-nyu/first", said.append):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first is done")
    thread.join(timeout=10)
    assert order == ["first is done", "second"]
    assert "waiting: train@nyu is being run by train-nyu/first (process" in said[0]
    assert said[1:] == ["train@nyu is free"]


def test_a_free_stage_is_taken_without_a_word(tmp_path: Path) -> None:
    said: list[str] = []
    with turn(tmp_path / "folder" / "label@nyu.lock", "a", said.append):
        pass
    assert said == []


def test_the_work_of_a_dead_flow_keeps_its_turn_until_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "train@nyu.lock"
    # The flow takes the turn, starts work that holds it too, and dies without a word.
    flow = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from flows.turns import turn\n"
        "with turn(Path(sys.argv[1]), 'dead', print) as held:\n"
        "    work = [sys.executable, '-c', 'import time; time.sleep(2)']\n"
        "    subprocess.Popen(work, pass_fds=[held])\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", flow, str(lock)], check=False).returncode == 9
    said: list[str] = []
    began = time.monotonic()
    with turn(lock, "next", said.append):
        assert 1.0 < time.monotonic() - began < 8.0
    assert "is being run by dead" in said[0]
