"""The last word for ranks that were killed for lack of memory: they could leave none themselves.

The kernel counts the processes that it kills to get memory back, in each control group and for
the whole machine (cgroups(7), proc_vmstat(5)). A rank that died of SIGKILL while that count grew,
and that nobody here killed, was one of them. Under a cap (`symbio.ranks.memory`) a library whose
allocation fails may also abort the process.
"""

from __future__ import annotations

import re
import signal
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from symbio.ranks.ending import OUT_OF_MEMORY, Word
from symbio.ranks.memory import mebibytes, resident_peak

_EVERY_S = 1.0
_REMEMBERED = 60
"""Looks at the count that are kept: a big process takes seconds to die after it was counted."""
_ABORTED = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)


class MemoryWatch:
    """Follows what a host's ranks take and how many processes its kernel killed for memory."""

    def __init__(self, cap_bytes: int | None) -> None:
        """`cap_bytes`: what each rank may take, if they compute on the CPU and have a cap."""
        self._cap_bytes = cap_bytes
        self._peaks: dict[int, int] = {}
        self._kills = deque([kills_for_memory()], maxlen=_REMEMBERED)
        self._looked = -_EVERY_S

    def look(self, running: Mapping[int, int]) -> None:
        """Call several times a second; passed over if the last look was just now.

        Args:
            running: process numbers of the ranks that have not ended, by rank.
        """
        if time.monotonic() < self._looked + _EVERY_S:
            return
        self._looked = time.monotonic()
        self._kills.append(kills_for_memory())
        for rank, pid in running.items():
            peak_bytes = resident_peak(pid)
            if peak_bytes is not None:
                self._peaks[rank] = peak_bytes

    def word(self, rank: int, code: int) -> Word | None:
        """The last word for a rank that ended with `code`; None if memory did not end it."""
        if code == -signal.SIGKILL and kills_for_memory() > self._kills[0]:
            message = "killed by the kernel to get memory back"
        elif code in _ABORTED and self._cap_bytes is not None:
            name = signal.Signals(-code).name
            message = f"ended by {name} under a cap of {mebibytes(self._cap_bytes)} of memory"
        else:
            return None
        peak_bytes = self._peaks.get(rank)
        if peak_bytes is not None:
            message += f"; it had {mebibytes(peak_bytes)}"
        return Word(rank, OUT_OF_MEMORY, message, time.time(), peak_bytes)


def kills_for_memory() -> int:
    """Processes that the kernel has killed so far for lack of memory, as near as it tells: of
    this process's control group, else of the machine."""
    for path in (*_counters(), Path("/proc/vmstat")):
        try:
            found = re.search(r"^oom_kill (\d+)$", path.read_text(encoding="ascii"), re.MULTILINE)
        except OSError:
            continue
        if found is not None:
            return int(found[1])
    return 0


def _counters() -> list[Path]:
    """Where the control group of this process may count: version 2, then 1, and in containers."""
    mounted = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    places = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            folder, name = mounted, "memory.events"
        elif "memory" in controllers.split(","):
            folder, name = mounted / "memory", "memory.oom_control"
        else:
            continue
        places += [folder / group.lstrip("/") / name, folder / name]
    return places
