"""One program of the platform, running: started, followed, stopped, started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import psutil

from infra.local.program import Program
from symbio.errors import SymbioError

START_S = 180.0
"""A start that takes longer has failed."""

_GUARD = Path(__file__).resolve().parent / "guard.py"
_LOOK_S = 0.1
_FORCE_S = 5.0
"""Time that the end by force may take, beyond a program's own patience."""
_TAIL_LINES = 15
_TAIL_BYTES = 8192
_LOG_BYTES = 20 << 20
_UNAVAILABLE = 75


class Service:
    """A program's process, below a guard that lets nothing of it outlive the platform.

    Methods may be called from any thread.
    """

    def __init__(self, program: Program, logs: Path, lock: int) -> None:
        """`logs` is the folder for its log, `lock` the file descriptor of the platform's lock."""
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.wanted = False
        """Whether it is meant to run: a start that is under way ends when this becomes false."""
        self._lock = lock
        self._guard: subprocess.Popen[bytes] | None = None
        self._process: psutil.Process | None = None
        self._patience_s = 0.0
        self._was_up = False
        self._turn = threading.RLock()

    @property
    def pid(self) -> int | None:
        """Number of the program's first process; None if it does not run."""
        process = self._process
        return process.pid if process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether the program's first process runs, healthy or not."""
        process = self._process
        try:
            return (
                process is not None
                and process.is_running()
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    @property
    def died(self) -> bool:
        """Whether it worked, ended without having been stopped, and is not back yet."""
        return self._was_up and not self.alive

    def healthy(self) -> bool:
        """Whether it runs and does its work now."""
        return self.alive and self.program.healthy()

    def start(self) -> None:
        """Start it, if it does not run, and wait until it does its work.

        Raises:
            SymbioError: it ended, or took too long; with the end of its log. Nothing is left.
        """
        self.wanted = True
        with self._turn:
            if self.alive:
                return
            # What a killed one left behind may hold its ports.
            self._end_guard()
            try:
                self._launch()
                self._wait()
                self._was_up = True
            except BaseException:
                self.wanted = False
                self._end_guard()
                raise

    def stop(self) -> None:
        """Ask it to stop, wait, and end it and all that it started by force if need be."""
        self.wanted = False
        with self._turn:
            self._was_up = False
            self._end_guard()

    def kill(self) -> None:
        """End its first process as a crash does (SIGKILL). The platform starts it again."""
        process = self._process
        if process is not None and self.alive:
            process.kill()
            until = time.monotonic() + _FORCE_S
            while self.alive and time.monotonic() < until:
                time.sleep(_LOOK_S)

    def restart(self) -> None:
        """Stop and start it."""
        with self._turn:
            self.stop()
            self.start()

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(f"  | {line}" for line in text.splitlines()[-_TAIL_LINES:])

    def _launch(self) -> None:
        launch = self.program.prepare()
        self._patience_s = launch.patience_s
        heard, told = os.pipe()
        guard = [
            sys.executable,
            "-I",
            "-S",
            str(_GUARD),
            f"--report={told}",
            f"--keep={self._lock}",
        ]
        guard += [f"--signal={launch.stop_signal.value}", f"--patience={launch.patience_s}"]
        guard += [*(["--children-first"] if launch.children_first else []), "--"]
        with os.fdopen(heard, "rb") as report:
            try:
                with self._log_file() as log:
                    self._guard = subprocess.Popen(
                        guard + launch.command,
                        env=launch.environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        pass_fds=(told, self._lock),
                        # Ctrl-C in a terminal is for the platform, which then stops its services.
                        start_new_session=True,
                    )
            finally:
                os.close(told)
            number = report.read()
        try:
            self._process = psutil.Process(int(number))
        except (ValueError, psutil.NoSuchProcess):
            self._process = None

    def _log_file(self) -> IO[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log.open("ab")

    def _wait(self) -> None:
        until = time.monotonic() + START_S
        while not self.program.healthy():
            if not self.wanted:
                raise SymbioError(
                    f"{self.program.title} was stopped while it started", _UNAVAILABLE
                )
            if not self.alive:
                raise SymbioError(
                    f"{self.program.title} ended while it started; the end of {self.log}:\n"
                    f"{self.tail()}",
                    1,
                )
            if time.monotonic() > until:
                raise SymbioError(
                    f"{self.program.title} does not answer at {self.program.where} {START_S:.0f} s "
                    f"after its start; the end of {self.log}:\n{self.tail()}",
                    1,
                )
            time.sleep(_LOOK_S)

    def _end_guard(self) -> None:
        """Have the guard end everything below it, and see it gone."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        guard.send_signal(signal.SIGTERM)
        try:
            guard.wait(self._patience_s + _FORCE_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
        self._process = None
