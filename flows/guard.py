"""A process between a flow and the command that it runs, so that no process outlives its flow.

    python -m flows.guard GRACE_S COMMAND...

When the guard gets SIGTERM, or its parent is gone (killed, even by -9), the command is asked to
stop: SIGTERM, and to what it runs if it is DVC, so that a training writes its checkpoint and DVC
frees its locks in order. What is left after GRACE_S is killed, whatever sessions it made for
itself: the guard adopts every orphan below it. Exits with the command's code.

Imports little: it starts in a tenth of a second.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_LOOK_S = 0.2
_LEFTOVERS_S = 5.0
"""What a finished command may leave behind (an upload's last batch) ends within this time."""
_SHELLS = ("sh", "dash", "bash", "zsh", "ksh", "fish")


def main(arguments: list[str]) -> int:
    """Run the command to its end, or to its flow's."""
    grace_s, command = float(arguments[0]), arguments[1:]
    parent = os.getppid()
    _adopt_orphans()
    asked = _Asked()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    stopped = False
    while child.poll() is None and not stopped:
        stopped = asked.to_stop or os.getppid() != parent
        if stopped:
            _stop(child, command, grace_s)
        time.sleep(_LOOK_S)
    _end(_below(os.getpid()), 0.0 if stopped else _LEFTOVERS_S)
    code = child.wait()
    return code if code >= 0 else 128 - code


class _Asked:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.to_stop = True


def _adopt_orphans() -> None:
    """Become the parent of every process below that loses its own (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _stop(child: subprocess.Popen[bytes], command: list[str], grace_s: float) -> None:
    """Ask the command to stop, or, if it is DVC, the stage that it runs; wait for its end."""
    stage = list(_work(child.pid)) if Path(command[0]).name == "dvc" else []
    for process in stage or [psutil.Process(child.pid)]:
        _signal(process, signal.SIGTERM)
    until = time.monotonic() + grace_s
    while child.poll() is None and time.monotonic() < until:
        time.sleep(_LOOK_S)


def _work(pid: int) -> Iterator[psutil.Process]:
    """The first processes below `pid` that are no shells."""
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        return
    for child in children:
        try:
            shell = child.name() in _SHELLS
        except psutil.Error:
            continue
        if shell:
            yield from _work(child.pid)
        else:
            yield child


def _end(processes: list[psutil.Process], wait_s: float) -> None:
    """Wait for processes, then ask them, then kill them and whatever they have started since."""
    _, left = psutil.wait_procs(processes, timeout=wait_s)
    for process in left:
        _signal(process, signal.SIGTERM)
    psutil.wait_procs(left, timeout=2.0)
    while left := _below(os.getpid()):
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=1.0)


def _below(pid: int) -> list[psutil.Process]:
    found = psutil.Process(pid).children(recursive=True)
    return [process for process in found if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
