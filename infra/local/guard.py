"""A process between the platform and one of its servers, so that nothing outlives the platform.

    python guard.py --report FD --keep FD --signal N --patience SECONDS -- COMMAND...

The guard adopts every orphan below it, whatever sessions those made for themselves, and ends when
nobody is left. It writes the command's process number to the file descriptor `--report`.

* SIGTERM: the command gets `--signal`; what it leaves behind gets SIGTERM; whoever is still there
  after `--patience` seconds is killed. With `--children-first` the command's own children get
  SIGTERM before, and the command when they have ended: it can still tell how they ended.
* The command ends by itself: the same, for what it leaves behind.
* The platform is gone (killed, even by -9): everything is killed at once.

`--keep` is the platform's lock, which is held until the last guard has ended: a platform that
starts in the meantime waits. Needs nothing but Python itself, so that it starts in no time.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import time
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_S = 0.2
_LAST_S = 5.0
"""Of the patience: kept for the command itself, if its children do not end."""
_HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}


def main() -> int:
    """Run the command until it and all that it started have ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", type=int, required=True)
    parser.add_argument("--keep", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("--children-first", action="store_true")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()

    for descriptor in (asked.report, asked.keep):
        os.set_inheritable(descriptor, False)
    platform = os.getppid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    child = _start(asked.command)
    os.write(asked.report, f"{child}\n".encode())
    os.close(asked.report)
    return _watch(child, platform, asked)


def _start(command: list[str]) -> int:
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, guard)
    return child


def _become(command: list[str], guard: int) -> NoReturn:
    """In the child: turn into the command; it dies with the guard."""
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error}", file=sys.stderr, flush=True)
    os._exit(127)


def _watch(child: int, platform: int, asked: argparse.Namespace) -> int:
    """Until nobody is left; returns the command's exit code."""
    code: int | None = None
    until: float | None = None
    told: set[int] = set()
    while True:
        heard = signal.sigtimedwait(_HEARD, _LOOK_S)
        for pid, status in _ended():
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                print(f"-- ended {_in_words(code)}, {time.strftime('%H:%M:%S')}", flush=True)
                until = until or time.monotonic() + asked.patience
        below = _children(os.getpid())
        if not below:
            return max(0, code or 0)
        if os.getppid() != platform:
            until = 0.0
        elif heard is not None and heard.si_signo != signal.SIGCHLD:
            until = until or time.monotonic() + asked.patience
        if until is None:
            continue
        left_s = until - time.monotonic()
        if left_s <= 0:
            _send(below, signal.SIGKILL)
        elif code is not None:
            _send(below - told, signal.SIGTERM)
            told |= below
        elif child not in told:
            inner = _children(child) if asked.children_first else set()
            _send(inner - told, signal.SIGTERM)
            told |= inner
            if not inner or left_s < _LAST_S:
                _send({child}, asked.signal)
                told.add(child)


def _ended() -> list[tuple[int, int]]:
    ends: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ends
        if pid == 0:
            return ends
        ends.append((pid, status))


def _children(of: int) -> set[int]:
    """Those whose parent is `of`, by birth or by adoption."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    # PID (NAME) STATE PARENT ...; a name may hold spaces and brackets.
                    parent = file.read().rpartition(")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if int(parent) == of:
                found.add(int(name))
    return found


def _send(pids: set[int], number: int) -> None:
    for pid in pids:
        # It may be gone by now.
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _in_words(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


if __name__ == "__main__":
    sys.exit(main())
