"""Commands are followed, told apart by their ends, and never outlive the call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.command import Ended, run_command
from flows.errors import CommandFailed, TryAgain
from flows.stage import judge
from symbio.tell import read_progress

TALK = """
import sys, time
print("first", flush=True)
print("1/2\\r2/2", file=sys.stderr, flush=True)
print("no newline", end="", flush=True)
"""


def run(tmp_path: Path, code: str, say: Any = lambda _: None) -> Ended:
    return run_command([sys.executable, "-c", code], tmp_path, tmp_path / "told", say)


def test_every_line_is_passed_on_once_and_rewritten_ones_in_their_last_form(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = run(tmp_path, TALK, lines.append)
    assert lines == ["first", "2/2", "no newline"]
    assert (ended.code, ended.tail) == (0, "first\n2/2\nno newline")


def test_what_the_command_tells_is_read(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "from symbio.tell import *\n"
        "tell_progress('frames', 3, 3)\n"
        "tell_ending('train', 75, 'preempted')\n"
        "raise SystemExit(1)",
    )
    assert ended.code == 1
    assert ended.ending == {"verb": "train", "exit_code": 75, "message": "preempted"}
    progress = read_progress(tmp_path / "told")
    assert progress is not None
    assert (progress["what"], progress["done"], progress["total"]) == ("frames", 3, 3)


def test_the_ending_of_an_earlier_command_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    run(tmp_path, "from symbio.tell import tell_ending; tell_ending('train', 75, 'x')")
    assert run(tmp_path, "pass").ending is None


def test_an_error_in_the_caller_ends_the_command(tmp_path: Path) -> None:
    def fail(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)", fail)
    pid = int((tmp_path / "told" / "output.log").read_text())
    assert not psutil.pid_exists(pid)


def ended(code: int, tail: str = "", exit_code: int | None = None) -> Ended:
    told = (
        None if exit_code is None else {"exit_code": exit_code, "message": "why", "verb": "train"}
    )
    return Ended(code, told, tail, 1.0)


@pytest.mark.parametrize(
    "end",
    [
        ended(1, "ERROR: failed to reproduce 'train@nyu': failed to run: ..., exited with 75", 75),
        ended(1, "ERROR: failed to reproduce 'train@nyu': failed to run: symbio train nyu, "
                 "exited with -9"),
        ended(1, "ERROR: failed to reproduce 'train@nyu': failed to run: symbio train nyu, "
                 "exited with 137"),
        ended(137),
    ],
)  # fmt: skip
def test_what_can_go_on_is_tried_again(end: Ended) -> None:
    with pytest.raises(TryAgain):
        judge(end, "train@nyu")


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (ended(1, "", 2), "why"),
        (ended(1, "", 1), "why"),
        (ended(255, "Running\nERROR: stage 'train@nyu' not found"), "ERROR: stage 'train@nyu' not"),
        (ended(2, "usage: symbio"), "usage: symbio"),
    ],
)
def test_what_would_fail_again_is_not(end: Ended, message: str) -> None:
    with pytest.raises(CommandFailed) as raised:
        judge(end, "train@nyu")
    assert not isinstance(raised.value, TryAgain)
    assert message in str(raised.value)


def test_a_good_end_raises_nothing() -> None:
    judge(ended(0), "train@nyu")
