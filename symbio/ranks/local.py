"""The ranks of this host: one process each, started, signalled, ended and reported on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from symbio.errors import SymbioError
from symbio.ranks.ending import ERRORS_VARIABLE, FAILED, RESUME_ME, RankEnd, Report, words_in
from symbio.ranks.killed import MemoryWatch
from symbio.ranks.place import LAUNCHER_VARIABLE, RENDEZVOUS_VARIABLE
from symbio.ranks.settings import num_gpus, num_threads, rank_memory
from symbio.ranks.warm import WarmRank, fork_rank

AFTER_FAILURE_S = 5.0
"""How long ranks may go on after one of them failed."""

_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
"""On the CPU activations are glibc's to allocate, which by default hands them back to the kernel
each step and has them zeroed again: keeping them made steps of the sample 7 % faster, at the same
peak. 32 MiB is the most that every glibc takes."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every rank of a run does."""

    name: str
    """For people: "train nyu"."""
    module: str
    """Run as `python -m module`."""
    arguments: Sequence[str]
    environment: dict[str, str]
    """Added to the environment of each rank."""
    arguments_again: Sequence[str] | None = None
    """Instead of `arguments` when the run is started again; None: the same."""


@dataclass(frozen=True, slots=True)
class Share:
    """This host's part of a run."""

    ranks: int
    first_rank: int
    world: int
    node: int
    """Place of this host among those that take part, from 0."""
    nodes: int
    master: tuple[str, int]
    """Where rank 0 listens."""


class LocalRanks:
    """The processes of this host's ranks.

    They lead sessions of their own, so that a terminal's Ctrl-C reaches only their launcher, and
    the kernel kills them when the launcher dies (`symbio.ranks.place.die_with_parent`; start them
    from the main thread, for the kernel means the thread). Inside `symbio.ranks.warm.warm_ranks`
    they are forked and not started afresh.
    """

    def __init__(
        self, work: Work, share: Share, listener: socket.socket | None, interface: str | None
    ) -> None:
        """Start them.

        Args:
            work: what they do.
            share: which ranks they are.
            listener: rank 0's socket at `share.master`, where rank 0 is among them.
            interface: network interface that leads to the other hosts; None: the libraries choose.
        """
        self._share = share
        self._errors = tempfile.TemporaryDirectory(prefix="symbio-ranks-")
        self._deadline: float | None = None
        self._ended_by_us: set[int] = set()
        shared = {**os.environ, **work.environment, ERRORS_VARIABLE: self._errors.name}
        shared[LAUNCHER_VARIABLE] = str(os.getpid())
        if num_gpus() == 0 and _ALLOCATOR.keys().isdisjoint(shared):
            shared |= _ALLOCATOR
        shared.setdefault("OMP_NUM_THREADS", str(num_threads(share.ranks)))
        if interface is not None:
            shared.setdefault("GLOO_SOCKET_IFNAME", interface)
            if share.nodes > 1:
                shared.setdefault("NCCL_SOCKET_IFNAME", interface)
        self._memory = MemoryWatch(rank_memory(shared) if num_gpus() == 0 else None)
        self._processes = [
            self._start(work, shared, local_rank, listener) for local_rank in range(share.ranks)
        ]

    def _start(
        self, work: Work, shared: dict[str, str], local_rank: int, listener: socket.socket | None
    ) -> subprocess.Popen[bytes] | WarmRank:
        share = self._share
        place = {
            "RANK": str(share.first_rank + local_rank),
            "LOCAL_RANK": str(local_rank),
            "LOCAL_WORLD_SIZE": str(share.ranks),
            "WORLD_SIZE": str(share.world),
            "GROUP_RANK": str(share.node),
            "GROUP_WORLD_SIZE": str(share.nodes),
            "MASTER_ADDR": share.master[0],
            "MASTER_PORT": str(share.master[1]),
            RENDEZVOUS_VARIABLE: "elsewhere",
        }
        own = listener if local_rank == 0 else None
        rank = fork_rank(work.module, work.arguments, shared, place, own)
        if rank is not None:
            return rank
        if own is not None:
            place[RENDEZVOUS_VARIABLE] = str(own.fileno())
        return subprocess.Popen(
            [sys.executable, "-m", work.module, *work.arguments],
            env={**shared, **place},
            pass_fds=() if own is None else (own.fileno(),),
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether any has not ended."""
        return any(process.poll() is None for process in self._processes)

    def watch(self) -> None:
        """Call several times a second: once one failed, the others get a moment and are killed."""
        codes = [process.poll() for process in self._processes]
        self._memory.look(
            {
                self._share.first_rank + local_rank: process.pid
                for local_rank, process in enumerate(self._processes)
                if codes[local_rank] is None
            }
        )
        if any(code is not None and code not in (0, RESUME_ME) for code in codes):
            self.end_within(AFTER_FAILURE_S)
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()

    def end_within(self, seconds: float) -> None:
        """Kill what still runs after `seconds`; an earlier deadline stays."""
        deadline = time.monotonic() + seconds
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)

    def signal(self, number: int) -> None:
        """Send a signal to all that run."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(number)

    def kill(self) -> None:
        """Kill what runs. SIGKILL also ends a process that is stopped."""
        for local_rank, process in enumerate(self._processes):
            if process.poll() is None:
                self._ended_by_us.add(local_rank)
                process.kill()

    def report(self) -> Report:
        """Wait for all to be gone, and tell how they ended."""
        host, ends, killed = socket.gethostname(), [], []
        for local_rank, process in enumerate(self._processes):
            rank, by_us = self._share.first_rank + local_rank, local_rank in self._ended_by_us
            code = process.wait()
            ends.append(RankEnd(rank, host, code, by_us))
            word = None if by_us else self._memory.word(rank, code)
            killed += [] if word is None else [word]
        words = killed + words_in(self._errors.name)
        self._errors.cleanup()
        return Report(ends, words)


def run_here(
    module: str, arguments: Sequence[str], ranks: int, environment: dict[str, str] | None = None
) -> None:
    """Run `python -m module` on `ranks` ranks of this host, from the main thread, to its end.

    Raises:
        SymbioError: a rank failed; the message is that of the one that failed first.
    """
    work = Work(module, module, arguments, environment or {})
    with listen_locally() as listener:
        address = listener.getsockname()
        share = Share(ranks, 0, ranks, 0, 1, (address[0], address[1]))
        local = LocalRanks(work, share, listener, loopback())
    try:
        while local.running:
            local.watch()
            time.sleep(0.1)
    finally:
        local.kill()
        report = local.report()
    if report.words:
        who = f"rank {report.words[0].rank}: " if ranks > 1 else ""
        raise SymbioError(f"{who}{report.words[0].message}")
    for end in report.ends:
        if end.code != 0:
            raise SymbioError(f"{module}: {end}", FAILED)


def listen_locally() -> socket.socket:
    """A listening socket on the loopback interface, at a free port."""
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def loopback() -> str | None:
    """Name of the loopback interface where gloo needs it.

    Gloo otherwise looks up the host's name, which need not lead to a usable address.
    """
    return "lo" if sys.platform == "linux" else None


def interface_of(address: str) -> str | None:
    """Name of the network interface with this address; None where it cannot be found."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(known.address.split("%")[0] == address for known in addresses):
            return str(name)
    return None
