"""Running a command from a flow: guarded, followed, and with its own words at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.tell import TELL_VARIABLE, read_ending

GRACE_S = 22.0
"""From the request to stop to the end by force; Prefect itself kills a flow run after 30 s."""

_LOOK_S = 0.25
_TAIL = 40


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    ending: dict[str, Any] | None
    """`verb`, `exit_code`, `message` of the `symbio` verb; None where none came to its end."""
    tail: str
    """Last lines that were printed."""
    seconds: float


def run_command(
    command: Sequence[str],
    root: Path,
    folder: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    holding: Sequence[int] = (),
) -> Ended:
    """Run a command in `root` to its end; its lines are passed to `say` as they come.

    Whatever ends this call before (a cancellation, Ctrl-C, a crash) stops the command and
    everything that it started.

    Args:
        command: a program of this environment (`symbio`, `dvc`), or a path, and its arguments.
        root: the checkout.
        folder: emptied; then holds output.log and what the command tells (`symbio.tell`).
        say: is called with each line.
        environment: variables besides this process's own.
        holding: descriptors (locks) that the command keeps open until it has ended.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    log = folder / "output.log"
    # A file, not a pipe: a command must not fail because nobody reads it any more.
    with log.open("wb") as output:
        guard = subprocess.Popen(
            [sys.executable, "-m", "flows.guard", str(GRACE_S), *_found(command)],
            cwd=root,
            env={**os.environ, **_variables(root, folder), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(holding),
        )
    lines: list[str] = []
    try:
        for line in _follow(log, guard):
            lines.append(line)
            say(line)
    finally:
        if guard.poll() is None:
            guard.terminate()
        code = guard.wait()
    tail = "\n".join(lines[-_TAIL:])
    return Ended(code, read_ending(folder), tail, time.monotonic() - started)


def _variables(root: Path, folder: Path) -> dict[str, str]:
    """Environment of a command: this checkout's code first, this Python's programs first."""
    code = [str(root.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {
        TELL_VARIABLE: str(folder.resolve()),
        "PYTHONPATH": os.pathsep.join(code),
        "PATH": os.pathsep.join(programs),
    }


def _found(command: Sequence[str]) -> list[str]:
    program = Path(sys.executable).parent / command[0]
    return [str(program) if program.is_file() else command[0], *command[1:]]


def _follow(log: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines of a growing file until the process that writes it has ended."""
    with log.open("r", encoding="utf-8", errors="replace", newline="\n") as file:
        half = ""
        while True:
            over = process.poll() is not None
            for line in file:
                half += line
                if half.endswith("\n"):
                    # Of a line that rewrote itself (\r) the last form counts.
                    text = half.rstrip("\r\n").rsplit("\r", 1)[-1].rstrip()
                    half = ""
                    if text:
                        yield text
            if over:
                if half.strip():
                    yield half.strip()
                return
            time.sleep(_LOOK_S)
