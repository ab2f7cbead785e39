"""Ranks that start in tenths of a second: forked from a process that has imported everything.

Importing torch and DeepSpeed takes a rank several seconds, as long as a short training. Inside
`warm_ranks`, `symbio.ranks.local` asks a warm parent for its ranks instead: this module, run as a
program, which has imported what ranks import and does nothing but fork.

What a process reads when it starts (OMP_NUM_THREADS, the settings of the allocator) a fork cannot
change. The warm parent is therefore started with the environment of the first ranks, and ranks that
need another one are started cold. On hosts with GPUs all are: CUDA does not survive a fork.

The owner and its warm parent share a Unix socket. Every start is one byte on it, with descriptors:
a channel for this rank alone, then what it inherits. Through the channel come the order (JSON, up
to the end of writing), back the process's number and pidfd, and in the end its exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from symbio.environment import prepare_environment
from symbio.progress import say
from symbio.ranks.place import LAUNCHER_VARIABLE, RENDEZVOUS_VARIABLE, die_with_parent
from symbio.ranks.settings import num_gpus

_MODULES = (
    "symbio.train.rank",
    "symbio.search.rank",
    # DeepSpeed imports it with each engine, and with it torch's whole compiler: a second.
    "deepspeed.runtime.zero.muon.muon_optimizer",
)
"""What ranks import, now or later."""

_OURS = "SYMBIO_"
"""Variables of this prefix are read when they are needed, so they may be others for every rank."""

_STDIO = (0, 1, 2)
_NUMBER_BYTES = 8
_ANSWER_S = 120.0
"""How long a warm parent may take to import everything and fork; then it is given up."""


@contextlib.contextmanager
def warm_ranks() -> Iterator[None]:
    """Let this process start its ranks from a warm parent, which the first of them brings up.

    It ends with the block, or with this process, and takes what it forked along. For the main
    thread, as `symbio.ranks.local.LocalRanks`. Nothing changes where the host has GPUs or is no
    Linux, and within a block that is open already.
    """
    global _warmth
    if _warmth is not None or num_gpus() > 0 or sys.platform != "linux":
        yield
        return
    _warmth = _Warmth()
    try:
        yield
    finally:
        _warmth.close()
        _warmth = None


def fork_rank(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    place: Mapping[str, str],
    listener: socket.socket | None,
) -> WarmRank | None:
    """Start `python -m module` as a fork, in a session of its own; None: it must be started cold.

    Args:
        module: to be run.
        arguments: its command line.
        environment: what all ranks of this host have alike.
        place: what tells this rank from the others.
        listener: rank 0's socket, which it inherits.
    """
    if _warmth is None:
        return None
    inherited = list(_STDIO) if listener is None else [*_STDIO, listener.fileno()]
    order = _Order(module, list(arguments), {**environment, **place}, os.getcwd())
    return _warmth.fork(order, environment, inherited)


class WarmRank:
    """A process that the warm parent forked, to be used like a subprocess.Popen."""

    def __init__(self, pid: int, descriptor: int, channel: socket.socket) -> None:
        """`channel`: by which its exit code comes; `descriptor`: its pidfd."""
        self.pid = pid
        self._channel = channel
        self._descriptor = descriptor
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code (negative: killed by that signal), None while it runs."""
        return self._ended_within(0.0)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        code = self._ended_within(None)
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal; one that has ended needs none."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, timeout_s: float | None) -> int | None:
        if self._code is None and select.select([self._descriptor], [], [], timeout_s)[0]:
            told = self._channel.recv(16)
            # Without a word the warm parent is dead, and its ranks died with it.
            self._code = int(told) if told else -signal.SIGKILL
            self._channel.close()
            os.close(self._descriptor)
        return self._code


@dataclass(frozen=True, slots=True)
class _Order:
    """What a rank is to do."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    """Where it works."""


class _Warmth:
    """What a block of `warm_ranks` holds: a warm parent from the first order on."""

    def __init__(self) -> None:
        self._parent: _Parent | None = None
        self._told: set[tuple[str, ...]] = set()

    def fork(
        self, order: _Order, environment: Mapping[str, str], inherited: Sequence[int]
    ) -> WarmRank | None:
        """A rank, or None where this environment or a broken warm parent forbids it."""
        wanted = {name: text for name, text in environment.items() if not name.startswith(_OURS)}
        if self._parent is not None and self._parent.gone:
            self.close()
        if self._parent is None:
            self._parent = _Parent(wanted)
        differing = _differing(wanted, self._parent.environment)
        if differing:
            if differing not in self._told:
                self._told.add(differing)
                say(f"these ranks start cold: the first ones had another {', '.join(differing)}")
            return None
        rank = self._parent.fork(order, inherited)
        if rank is None:
            say("the process that ranks are forked from does not answer: this one starts cold")
            self.close()
        return rank

    def close(self) -> None:
        """End the warm parent; a later order brings up another."""
        if self._parent is not None:
            self._parent.close()
            self._parent = None


class _Parent:
    """The owner's end of a warm parent."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start it; its first order waits until it has imported everything."""
        self.environment = environment
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                env={**environment, LAUNCHER_VARIABLE: str(os.getpid())},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def fork(self, order: _Order, inherited: Sequence[int]) -> WarmRank | None:
        """A rank that inherits these descriptors, those of its standard streams first.

        None if the process ends meanwhile or does not answer.
        """
        channel, theirs = socket.socketpair()
        with contextlib.suppress(OSError):
            with theirs:
                socket.send_fds(self._socket, [b"\n"], [theirs.fileno(), *inherited])
            channel.sendall(json.dumps(asdict(order)).encode())
            channel.shutdown(socket.SHUT_WR)
            channel.settimeout(_ANSWER_S)
            number, descriptors, _, _ = socket.recv_fds(channel, _NUMBER_BYTES, 1)
            channel.settimeout(None)
            if descriptors:
                return WarmRank(int.from_bytes(number), descriptors[0], channel)
        channel.close()
        return None

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End it, and by that all that it forked."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


_warmth: _Warmth | None = None
"""Of the open block."""


def _differing(wanted: Mapping[str, str], there: Mapping[str, str]) -> tuple[str, ...]:
    names = sorted(wanted.keys() | there.keys())
    return tuple(name for name in names if wanted.get(name) != there.get(name))


class _Forker:
    """The warm parent itself. It has no threads: a fork would leave them behind."""

    def __init__(self, owner: socket.socket, imported: dict[str, str]) -> None:
        """Args: owner: its socket. imported: variables that the imports have set."""
        self._owner = owner
        self._imported = imported
        self._ranks: dict[int, tuple[int, socket.socket]] = {}
        """By pidfd: process number and channel."""

    def serve(self) -> _Order | None:
        """Fork ranks until the owner is gone; in each of them, return what it is to do."""
        while True:
            ready, _, _ = select.select([self._owner.fileno(), *self._ranks], [], [])
            for descriptor in ready:
                if descriptor in self._ranks:
                    self._bury(descriptor)
                    continue
                told, descriptors, _, _ = socket.recv_fds(self._owner, 1, len(_STDIO) + 2)
                if not told:
                    return None
                order = self._fork(socket.socket(fileno=descriptors[0]), descriptors[1:])
                if order is not None:
                    return order

    def _fork(self, channel: socket.socket, inherited: list[int]) -> _Order | None:
        """Fork a rank: the order in it, None here."""
        with channel.makefile("rb") as file:
            order = _Order(**json.load(file))
        here = os.getpid()
        process = os.fork()
        if process == 0:
            for descriptor, (_, other) in self._ranks.items():
                os.close(descriptor)
                other.close()
            channel.close()
            self._owner.close()
            self._become(order, inherited, here)
            return order
        descriptor = os.pidfd_open(process)
        self._ranks[descriptor] = process, channel
        for copy in inherited:
            os.close(copy)
        socket.send_fds(channel, [process.to_bytes(_NUMBER_BYTES)], [descriptor])
        return None

    def _become(self, order: _Order, inherited: list[int], parent: int) -> None:
        """Make a fresh fork what a process started for this order would be."""
        os.setsid()
        os.environ.clear()
        os.environ.update({**self._imported, **order.environment, LAUNCHER_VARIABLE: str(parent)})
        die_with_parent()
        for given, known in zip(inherited, _STDIO, strict=False):
            os.dup2(given, known)
            os.close(given)
        if len(inherited) > len(_STDIO):
            os.environ[RENDEZVOUS_VARIABLE] = str(inherited[-1])
        sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]
        os.chdir(order.folder)
        if not sys.flags.safe_path:
            sys.path[0] = order.folder
        sys.argv[1:] = order.arguments

    def _bury(self, descriptor: int) -> None:
        process, channel = self._ranks.pop(descriptor)
        _, status = os.waitpid(process, 0)
        with channel, contextlib.suppress(OSError):
            channel.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        os.close(descriptor)


def _import_all() -> dict[str, str]:
    """Import what ranks import; returns the environment variables that this has set."""
    from symbio.train.engine import import_deepspeed

    before = dict(os.environ)
    import_deepspeed()
    for name in _MODULES:
        importlib.import_module(name)
    return {name: text for name, text in os.environ.items() if before.get(name) != text}


def main() -> None:
    """Be the warm parent; then, in each of its forks, the module that was ordered."""
    die_with_parent()
    owner = socket.socket(fileno=int(sys.argv[1]))
    prepare_environment()
    imported = _import_all()
    gc.collect()
    gc.freeze()  # a fork's collections would otherwise touch, and so copy, every page
    order = _Forker(owner, imported).serve()
    if order is not None:
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
