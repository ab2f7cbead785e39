"""A rank's pulse: it tells where it is, and ends the rank when it no longer gets on.

Ranks wait for each other in every step, so one that hangs hangs all. Each of them therefore counts
the time since its own last progress; past the limit it says where it stands and which ranks are
behind, and exits with HUNG, which its launcher takes for a lost process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import statistics
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import FrameType

from symbio.errors import SymbioError
from symbio.ranks.ending import HUNG, write_error
from symbio.ranks.heartbeat import (
    EVERY_S,
    Found,
    Heartbeat,
    filesystem_now,
    heartbeat_file,
    read_heartbeats,
    write_heartbeat,
)
from symbio.ranks.place import Place
from symbio.ranks.settings import STEP_TIMEOUT_VARIABLE

_STDERR = 2
_WORDS_S = 3.0
"""How long the last words may take: disk or terminal may be what hangs."""
_LAST_RESORT_S = 10.0
"""After the limit, a process whose threads cannot run at all is ended all the same."""
_STEP_TIMES = 64


class Pulse:
    """Heartbeat and watchdog of this process, in two daemon threads.

    Two, because a disk that hangs the heartbeat must not hang the watchdog.
    """

    def __init__(self, folder: Path, place: Place, limit_s: float) -> None:
        """Args: folder: where all ranks leave their heartbeats. limit_s: longest time without
        progress, seconds."""
        self._folder, self._place, self._limit_s = folder, place, limit_s
        self._every_s = min(EVERY_S, limit_s / 4)
        self._phase = "starting"
        self._step: int | None = None
        self._progress = self._step_began = time.monotonic()
        self._step_times: deque[float] = deque(maxlen=_STEP_TIMES)
        self._started: float | None = None
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._tell, "pulse"), (self._watch, "watchdog"))
        ]

    def start(self) -> None:
        """Begin to tell and to watch."""
        self.beat(self._phase)
        for thread in self._threads:
            thread.start()

    def beat(self, phase: str, step: int | None = None) -> None:
        """Note progress: `phase` begins, or goes on. Costs no more than a look at the clock.

        Args:
            phase: what the rank does from now on.
            step: the step that it belongs to; None: the same as before.
        """
        now = time.monotonic()
        if step is not None and step != self._step:
            if self._step is not None and step == self._step + 1:
                self._step_times.append(now - self._step_began)
            self._step, self._step_began = step, now
        self._phase, self._progress = phase, now

    def close(self) -> None:
        """Stop telling and watching, and take the heartbeat away."""
        self._closed.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1.0)
        faulthandler.cancel_dump_traceback_later()
        with contextlib.suppress(OSError):
            heartbeat_file(self._folder, self._place.rank).unlink(missing_ok=True)

    def _tell(self) -> None:
        while True:
            self._write()
            if self._closed.wait(self._every_s):
                return

    def _write(self) -> None:
        if self._started is None:
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
            self._started = filesystem_now(self._folder)
        now = time.monotonic()
        times = list(self._step_times)
        beat = Heartbeat(
            rank=self._place.rank,
            world=self._place.world,
            host=socket.gethostname(),
            pid=os.getpid(),
            step=self._step,
            phase=self._phase,
            since_progress_s=round(now - self._progress, 3),
            in_step_s=None if self._step is None else round(now - self._step_began, 3),
            step_s=round(statistics.median(times), 4) if times else None,
            limit_s=self._limit_s,
            started=self._started,
            time=round(time.time(), 3),
        )
        write_heartbeat(self._folder, beat)

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._limit_s / 8)):
            # Runs without Python: for a call that hangs and never lets this thread have its turn.
            last_resort = self._limit_s + _LAST_RESORT_S
            faulthandler.dump_traceback_later(last_resort, exit=True, file=_STDERR)
            idle_s = time.monotonic() - self._progress
            if idle_s >= self._limit_s:
                self._end(idle_s)

    def _end(self, idle_s: float) -> None:
        """Leave the last words as far as they can be left, and end the process."""
        speakers = [
            threading.Thread(target=speak, daemon=True)
            for speak in (self._show_stacks, lambda: self._leave_word(idle_s))
        ]
        until = time.monotonic() + _WORDS_S
        for speaker in speakers:
            speaker.start()
        for speaker in speakers:
            speaker.join(max(0.0, until - time.monotonic()))
        os._exit(HUNG)

    def _show_stacks(self) -> None:
        # Not by faulthandler, which holds up all threads where nobody reads standard error.
        _to_stderr(f"rank {self._place.rank} hangs here:\n{_stacks()}")

    def _leave_word(self, idle_s: float) -> None:
        where = self._phase if self._step is None else f"{self._phase} of step {self._step}"
        message = (
            f"no progress for {idle_s:.0f} s in {where} (limit: {self._limit_s:g} s, "
            f"{STEP_TIMEOUT_VARIABLE}); {self._behind()}"
        )
        with contextlib.suppress(SymbioError, OSError):
            write_error(self._place.rank, "Hung", message)
        _to_stderr(f"rank {self._place.rank}: {message}\n")

    def _behind(self) -> str:
        """Which ranks this one waits for, as far as their heartbeats can be seen."""
        now = filesystem_now(self._folder)
        found = {one.beat.rank: one for one in read_heartbeats(self._folder)}
        others = [rank for rank in range(self._place.world) if rank != self._place.rank]
        told = [self._fault_of(rank, found.get(rank), now) for rank in others]
        faults = [fault for fault in told if fault]
        if faults:
            return "behind: " + "; ".join(faults)
        if not others:
            return "there is no other rank"
        return "no other rank is behind: it hangs here, or the network between them does"

    def _fault_of(self, rank: int, found: Found | None, now: float) -> str:
        """What keeps a rank from going on; nothing if it is no further back than this one."""
        if found is None:
            return f"rank {rank} has no heartbeat here (it ended, or its host has another disk)"
        beat, age_s = found.beat, now - found.written
        name = f"rank {rank} (process {beat.pid} on {beat.host})"
        where = beat.phase if beat.step is None else f"{beat.phase} of step {beat.step}"
        if age_s > 3 * self._every_s:
            return f"{name} is stopped or dead: last heartbeat {age_s:.0f} s ago, in {where}"
        if (-1 if beat.step is None else beat.step) < (-1 if self._step is None else self._step):
            return f"{name} is still in {where}"
        return ""


def _stacks() -> str:
    """Where every thread is; without source lines, for their disk may be what hangs."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, top in sys._current_frames().items():
        lines.append(f"thread {names.get(ident, ident)}, innermost call first:")
        frame: FrameType | None = top
        while frame is not None:
            code = frame.f_code
            lines.append(
                f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_qualname}'
            )
            frame = frame.f_back
    return "\n".join(lines) + "\n"


def _to_stderr(text: str) -> None:
    """Past Python's own stream, whose lock the hanging thread may hold."""
    with contextlib.suppress(OSError):
        data = text.encode()
        while data:
            data = data[os.write(_STDERR, data) :]
