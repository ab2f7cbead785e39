"""One host of a run: joins the coordinator (`symbio.ranks.job`) and does as it says.

`python -m symbio.ranks.node` is such a host without anything around it; a hostfile's launcher
starts it on every host.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from symbio import __version__
from symbio.environment import prepare_environment
from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.local import LocalRanks, Share, Work, interface_of, loopback
from symbio.ranks.settings import default_ranks
from symbio.ranks.wire import Link, Message, connect

_POLL_S = 0.1
_PATIENCE_S = 600.0
"""How long a host waits for the coordinator to be there: schedulers start hosts minutes apart."""
_AFTER_LOSS_S = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended, for whoever started it."""

    code: int
    """0, RESUME_ME, MISTAKE or FAILED of `symbio.ranks.ending`."""
    message: str | None = None
    """What went wrong."""
    stopped: bool = False
    """Whether somebody asked it to."""
    out_of_memory: bool = False
    """Whether memory was not enough."""
    peak_bytes: int | None = None
    """The most memory that a rank which ran out of it had, where that is known."""


class Node:
    """This host, while it is part of a run."""

    def __init__(
        self,
        coordinator: tuple[str, int],
        name: str,
        node_rank: int,
        ranks: int,
        host_timeout_s: float,
        grace_s: float,
        environment: dict[str, str] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """Join the run.

        Args:
            coordinator: address and port.
            name: of the work; hosts of another work are refused.
            node_rank: place of this host among all that may take part.
            ranks: how many to start here.
            host_timeout_s: silence after which the coordinator counts as lost.
            grace_s: time between a request to stop and the end of all ranks by force.
            environment: for the ranks of this host alone.
            patience_s: how long to wait for the coordinator.

        Raises:
            SymbioError: nobody listens there.
        """
        try:
            connection = connect(coordinator, patience_s)
        except OSError as error:
            raise SymbioError(
                f"node 0 at {coordinator[0]}:{coordinator[1]} cannot be reached ({error}); is it "
                "started, is the address right (--master), does a firewall close the port?",
                RESUME_ME,
            ) from error
        self._ranks = ranks
        self._grace_s = grace_s
        self._environment = environment or {}
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._link = Link(connection, host_timeout_s, self._inbox.put)
        self._local: LocalRanks | None = None
        self._listener: socket.socket | None = None
        self._attempt = -1
        self._stop: int | None = None
        self._asked: list[int] = []
        hello = {"name": name, "version": __version__, "node": node_rank, "ranks": ranks}
        self._link.send({"hello": {**hello, "host": socket.gethostname()}})

    def run(self, while_running: Callable[[], None] = lambda: None) -> Verdict:
        """Do as the coordinator says until the run has ended. Call it in the main thread.

        SIGINT and SIGTERM mean "all ranks write a checkpoint and stop"; a second one kills.

        Args:
            while_running: called several times a second; what it raises ends this host's ranks.
        """
        try:
            with self._signals_caught():
                while True:
                    verdict = self._obey(self._next())
                    if verdict is not None:
                        while_running()
                        return verdict
                    self._heed()
                    self._watch()
                    while_running()
        finally:
            if self._local is not None:
                self._local.kill()
                self._local.report()
            self._link.close()

    def _next(self) -> Message | None:
        """The coordinator's next message, {} if there is none yet, None when it is lost."""
        try:
            return self._inbox.get(timeout=_POLL_S)
        except queue.Empty:
            return {}

    def _obey(self, message: Message | None) -> Verdict | None:
        if message is None:
            return self._coordinator_lost()
        if "done" in message:
            return Verdict(**message["done"])
        if "prepare" in message:
            self._listener = self._listen(message["prepare"])
            self._link.send({"ready": self._listener.getsockname()[1]})
        if "start" in message:
            self._start(message["start"])
        if "end" in message and self._local is not None:
            self._local.end_within(message["end"])
        if "stop" in message:
            self._stop_ranks(message["stop"])
        return None

    def _listen(self, nodes: int) -> socket.socket:
        address = "127.0.0.1" if nodes == 1 else ""
        return socket.create_server((address, 0), backlog=128)

    def _start(self, order: dict[str, Any]) -> None:
        self._attempt = order["attempt"]
        share = Share(**{**order["share"], "master": tuple(order["share"]["master"])})
        own = {**order["environment"], **self._environment}
        work = Work(order["name"], order["module"], order["arguments"], own)
        interface = loopback()
        if share.nodes > 1:
            interface = interface_of(order["address"] or self._link.own_address)
        self._local = LocalRanks(work, share, self._listener, interface)
        if self._listener is not None:
            self._listener.close()  # rank 0 has it now
            self._listener = None
        if self._stop is not None:
            self._stop_ranks(self._stop)

    def _watch(self) -> None:
        """Look after the ranks; tell the coordinator once they have ended."""
        if self._local is None:
            return
        self._local.watch()
        if not self._local.running:
            report = self._local.report()
            self._local = None
            self._link.send({"ended": self._attempt, "report": report.as_dict()})

    def _coordinator_lost(self) -> Verdict:
        if self._local is not None:
            self._local.end_within(_AFTER_LOSS_S)
            while self._local.running:
                self._local.watch()
                time.sleep(_POLL_S)
        return Verdict(RESUME_ME, "the host that leads this run is lost; run the command again")

    def _heed(self) -> None:
        """Act on the signals that came: the first stops the run, another one kills."""
        if self._asked and self._stop is None:
            say("stopping: the ranks finish their step and write a checkpoint (again: kill them)")
            self._link.send({"stop": self._asked[0]})
            self._stop_ranks(self._asked[0])
            del self._asked[0]
        elif self._asked and self._local is not None:
            self._local.kill()

    def _stop_ranks(self, number: int) -> None:
        self._stop = number
        if self._local is not None:
            self._local.signal(number)
            self._local.end_within(self._grace_s)

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into a request to the whole run."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, frame: FrameType | None) -> None:
            self._asked.append(number)

        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def main() -> int:
    """Be a host of a run that another host leads."""
    prepare_environment()
    parser = argparse.ArgumentParser(prog="python -m symbio.ranks.node", description=__doc__)
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT")
    parser.add_argument("--name", required=True)
    parser.add_argument("--node-rank", type=int, required=True)
    parser.add_argument("--ranks", type=int, default=None)
    parser.add_argument("--host-timeout", type=float, required=True)
    parser.add_argument("--grace", type=float, required=True)
    parsed = parser.parse_args()
    host, _, port = parsed.coordinator.rpartition(":")
    try:
        node = Node(
            (host, int(port)),
            parsed.name,
            parsed.node_rank,
            parsed.ranks or default_ranks(),
            parsed.host_timeout,
            parsed.grace,
            patience_s=parsed.host_timeout,
        )
        verdict = node.run()
    except SymbioError as error:
        say(str(error))
        return error.exit_code
    if verdict.message is not None:
        say(verdict.message)
    return verdict.code


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
