"""Ctrl-C in the middle of an import, and elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from symbio.interrupt import spare_imports
spare_imports()
try:
    import slow
    slow.work()
except KeyboardInterrupt:
    print("interrupted", "slow" in sys.modules and slow.whole, flush=True)
"""
# A line is written in one piece: the interrupt may come between two bytecodes, never inside it.
_MODULE = """
import sys
import time
whole = False
print("ready", flush=True)
until = time.monotonic() + {seconds}
while time.monotonic() < until:
    pass
whole = True

def work():
    sys.stdout.write("working\\n")
    sys.stdout.flush()
    time.sleep(60)
"""


@pytest.mark.parametrize(("seconds", "word"), [(0.8, "ready"), (0.0, "working")])
def test_ctrl_c_lets_an_import_come_to_its_end(tmp_path: Path, seconds: float, word: str) -> None:
    (tmp_path / "slow.py").write_text(_MODULE.format(seconds=seconds))
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[1]}"},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != word:
        pass
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=20)[0].split()
    assert time.monotonic() - begun < 10
    assert told[-2:] == ["interrupted", "True"]
    assert process.returncode == 0


def test_ctrl_c_in_the_last_import_does_not_kill_a_process_that_ends(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(_MODULE.format(seconds=0.3))
    # The import ends before the interrupt is looked at again, and the interpreter is being taken
    # down, without handlers, when that moment comes.
    program = """
import time
from symbio import interrupt

class Late:
    def __del__(self, sleep=time.sleep):
        sleep(0.4)

late = Late()
interrupt._AGAIN_S = 0.5
interrupt.spare_imports()
import slow
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[1]}"},
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
