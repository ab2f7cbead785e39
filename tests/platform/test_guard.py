"""The guard: nothing of a service outlives the platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.platform.project import living, wait_for

GUARD = Path("infra/local/guard.py").resolve()

# A server with a child in a session of its own, which a signal to the process group misses. Both
# tell their numbers; the server says so when it is asked to stop.
_SERVER = """
import os, signal, subprocess, sys, time
def stop(*_):
    print("asked", flush=True)
    sys.exit(3)
signal.signal(signal.SIGUSR1, stop)
child = subprocess.Popen(["sleep", "300"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(300)
"""

# What the platform does: start a guard and wait.
_PLATFORM = """
import os, subprocess, sys, time
heard, told = os.pipe()
kept = os.open(os.devnull, os.O_RDONLY)
command = [sys.executable, "-I", "-S", sys.argv[1], f"--report={told}", f"--keep={kept}"]
command += [f"--signal={sys.argv[2]}", f"--patience={sys.argv[3]}", "--"]
guard = subprocess.Popen(command + sys.argv[4:], pass_fds=(told, kept), start_new_session=True)
print(guard.pid, flush=True)
time.sleep(300)
"""


class _Tree:
    """A platform of the test's own, its guard, the server and the server's child."""

    def __init__(self, patience_s: float, server: str = _SERVER) -> None:
        command = [sys.executable, "-c", _PLATFORM, str(GUARD)]
        command += [str(int(signal.SIGUSR1)), str(patience_s), sys.executable, "-c", server]
        self.platform = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.platform.stdout is not None
        self.said = self.platform.stdout
        self.guard = psutil.Process(int(self.said.readline()))
        server_pid, child_pid = map(int, self.said.readline().split())
        self.server, self.child = psutil.Process(server_pid), psutil.Process(child_pid)

    def gone(self) -> bool:
        return not living([self.guard, self.server, self.child])


@pytest.fixture
def tree() -> Iterator[_Tree]:
    tree = _Tree(patience_s=10.0)
    yield tree
    tree.platform.kill()
    tree.platform.wait()
    wait_for(tree.gone, 5.0, "the tree's end")
    tree.said.close()


def test_asked_to_stop_it_asks_the_server_and_ends_what_that_leaves(tree: _Tree) -> None:
    tree.guard.terminate()
    wait_for(tree.gone, 5.0, "the end of server and child")
    assert tree.said.readline() == "asked\n"
    assert tree.said.readline().startswith("-- ended with exit code 3")


def test_a_killed_platform_takes_all_along(tree: _Tree) -> None:
    tree.platform.kill()
    tree.platform.wait()
    wait_for(tree.gone, 3.0, "the end of guard, server and child")


def test_a_dead_server_takes_its_children_along(tree: _Tree) -> None:
    tree.server.kill()
    wait_for(tree.gone, 5.0, "the end of guard and child")
    assert tree.said.readline().startswith("-- ended by SIGKILL")


def test_a_killed_guard_takes_the_server_along(tree: _Tree) -> None:
    tree.guard.kill()
    wait_for(lambda: not living([tree.server]), 3.0, "the server's end")
    # Its child is nobody's now: only a second failure beside the first leaves it behind.
    tree.child.kill()


def test_a_deaf_server_is_killed_when_patience_ends() -> None:
    deaf = _SERVER.replace(
        "signal.signal(signal.SIGUSR1, stop)", "signal.signal(10, signal.SIG_IGN)"
    )
    tree = _Tree(patience_s=1.0, server=deaf)
    began = time.monotonic()
    tree.guard.terminate()
    wait_for(tree.gone, 5.0, "the end of a deaf server")
    assert time.monotonic() - began >= 1.0
    tree.platform.kill()
    tree.platform.wait()
    tree.said.close()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    heard, told = os.pipe()
    with open(os.devnull, "rb") as kept:
        command = [sys.executable, "-I", "-S", str(GUARD), f"--report={told}"]
        command += [f"--keep={kept.fileno()}", "--signal=15", "--patience=1", "--"]
        done = subprocess.run(
            [*command, str(tmp_path / "nothing")],
            pass_fds=(told, kept.fileno()),
            capture_output=True,
            text=True,
            timeout=20,
        )
    os.close(told)
    os.close(heard)
    assert done.returncode == 127
    assert str(tmp_path / "nothing") in done.stderr
