"""No process outlives its flow: real process trees, killed in every way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

# A stand-in for `dvc`: a program of that name that runs its stage in a shell.
DVC = """#!{python}
import subprocess, sys
code = subprocess.call(["/bin/sh", "-c", "{python} stage.py; exit $?"])
print("dvc saw", code, flush=True)
sys.exit(3 if code else 0)
"""
# A stage that leaves a process in a session of its own, and needs half a second for its checkpoint.
STAGE = """
import signal, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
def stop(*_):
    time.sleep(0.5)
    open("checkpoint", "w").write("whole")
    sys.exit(75)
signal.signal(signal.SIGTERM, stop)
open("started", "w").close()
time.sleep({seconds})
"""


def start(folder: Path, seconds: float, grace_s: float = 10.0) -> subprocess.Popen[str]:
    """The guard, as the child of a process that plays the flow."""
    (folder / "dvc").write_text(DVC.format(python=sys.executable))
    (folder / "dvc").chmod(0o755)
    (folder / "stage.py").write_text(STAGE.format(seconds=seconds))
    flow = (
        "import subprocess, sys\n"
        "guard = subprocess.Popen(sys.argv[1:], start_new_session=True)\n"
        "print(guard.pid, flush=True)\n"
        "sys.exit(guard.wait())\n"
    )
    guard = [sys.executable, "-m", "flows.guard", str(grace_s), str(folder / "dvc")]
    process = subprocess.Popen(
        [sys.executable, "-c", flow, *guard], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    until(lambda: (folder / "started").exists())
    return process


def until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def in_folder(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_command_that_ends_by_itself_gives_its_code_and_leaves_nothing(tmp_path: Path) -> None:
    with start(tmp_path, seconds=0.2) as flow:
        assert flow.wait(timeout=30) == 0
    assert in_folder(tmp_path) == []


def test_a_killed_flow_takes_its_whole_tree_along_after_the_checkpoint(tmp_path: Path) -> None:
    with start(tmp_path, seconds=600) as flow:
        flow.send_signal(signal.SIGKILL)
    until(lambda: not in_folder(tmp_path))
    assert (tmp_path / "checkpoint").read_text() == "whole"


def test_a_guard_that_is_asked_to_stop_lets_dvc_see_the_end_of_its_stage(tmp_path: Path) -> None:
    with start(tmp_path, seconds=600) as flow:
        assert flow.stdout is not None
        psutil.Process(int(flow.stdout.readline())).send_signal(signal.SIGTERM)
        assert flow.wait(timeout=30) == 3
        assert "dvc saw 75" in flow.stdout.read()
    assert (tmp_path / "checkpoint").read_text() == "whole"
    assert in_folder(tmp_path) == []


def test_what_does_not_stop_within_the_grace_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, seconds=600, grace_s=0.1) as flow:
        began = time.monotonic()
        flow.kill()
    until(lambda: not in_folder(tmp_path))
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_not_dvc_is_asked_itself(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "stage.py").write_text(STAGE.format(seconds=600))
    command = [sys.executable, "-m", "flows.guard", "10", sys.executable, "stage.py"]
    guard = subprocess.Popen(command, cwd=tmp_path)
    until(lambda: (tmp_path / "started").exists())
    guard.send_signal(number)
    assert guard.wait(timeout=30) == 75
    assert (tmp_path / "checkpoint").read_text() == "whole"
    assert in_folder(tmp_path) == []
