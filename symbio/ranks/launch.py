"""Starting a run from this process: on this host, as one of several hosts, or over ssh."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.job import Job, Plan
from symbio.ranks.local import Work
from symbio.ranks.node import Node, Verdict
from symbio.ranks.settings import Settings
from symbio.ranks.ssh import Shells, is_here, read_hostfile

_POLL_S = 0.1
_HERE = "127.0.0.1"


def launch(
    work: Work,
    settings: Settings,
    root: Path,
    check: Callable[[int], None] = lambda world: None,
    while_running: Callable[[], None] = lambda: None,
) -> Verdict:
    """Run `work` on all ranks to its end. Call it in the main thread.

    SIGINT and SIGTERM mean "write a checkpoint and stop"; a second one kills.

    Args:
        work: what each rank does.
        settings: on which hosts, and what is tolerated.
        root: the project's folder, the same path on every host.
        check: raises SymbioError where the work cannot be dealt to a number of ranks.
        while_running: called several times a second; what it raises ends all ranks.

    Returns:
        How the run ended; whatever is no user's mistake is told here and not raised.

    Raises:
        SymbioError: the hosts cannot be had as the settings say.
    """
    if settings.hostfile is not None:
        return _over_ssh(work, settings, settings.hostfile, root, check, while_running)
    if settings.node_rank > 0:
        assert settings.master is not None
        return _node(work, settings, settings.master).run(while_running)
    return _leading(work, settings, check, while_running)


def expected_ranks(settings: Settings) -> int:
    """Ranks of the whole run, where every host has as many as this one or as its hostfile says."""
    if settings.hostfile is None:
        return settings.ranks * settings.nodes
    return sum(host.slots or settings.ranks for host in read_hostfile(settings.hostfile))


def expected_nodes(settings: Settings) -> int:
    """Hosts of the whole run."""
    if settings.hostfile is None:
        return settings.nodes
    return len(read_hostfile(settings.hostfile))


def _leading(
    work: Work, settings: Settings, check: Callable[[int], None], while_running: Callable[[], None]
) -> Verdict:
    """Be node 0, which leads the run in a thread beside its own ranks."""
    addresses = [_HERE]
    if settings.master is None:
        listener = socket.create_server((_HERE, 0))
    else:
        addresses = [settings.master[0], *[""] * (settings.nodes - 1)]
        try:
            listener = socket.create_server(("", settings.master[1]))
        except OSError as error:
            raise SymbioError(
                f"--master: port {settings.master[1]} cannot be opened ({error.strerror}); "
                "is another run using it?"
            ) from error
    leading = _Leading(Job(_plan(work, settings, addresses, check), listener))
    try:
        node = _node(work, settings, (_HERE, listener.getsockname()[1]))
        verdict = node.run(while_running)
    except BaseException:
        leading.job.abandon()
        raise
    return leading.result() or verdict


def _over_ssh(
    work: Work,
    settings: Settings,
    hostfile: Path,
    root: Path,
    check: Callable[[int], None],
    while_running: Callable[[], None],
) -> Verdict:
    """Start a node on every host of a hostfile and lead them."""
    hosts = read_hostfile(hostfile)
    only_here = all(is_here(host.name) for host in hosts)
    listener = socket.create_server((_HERE if only_here else "", 0))
    limits = (settings.host_timeout_s, settings.grace_s)
    shells = Shells(hosts, root, work.name, listener.getsockname()[1], limits)
    plan = _plan(work, settings, [host.name for host in hosts], check)
    asked: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    leading = _Leading(Job(plan, listener, shells))
    told = 0
    try:
        while leading.running:
            while_running()
            if len(asked) > told:
                told = len(asked)
                if told == 1:
                    say("stopping: the ranks finish their step and write a checkpoint (again: end)")
                    leading.job.stop(asked[0])
                else:
                    leading.job.abandon()
            time.sleep(_POLL_S)
        while_running()
        verdict = leading.result()
        assert verdict is not None
        return verdict
    except BaseException:
        leading.job.abandon()
        raise
    finally:
        shells.close(patience_s=settings.host_timeout_s)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Leading:
    """A job in a thread of its own."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._verdict: Verdict | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the job has not ended."""
        return self._thread.is_alive()

    def result(self) -> Verdict | None:
        """Wait for the job's verdict; what it raised is raised here."""
        self._thread.join(timeout=10.0)
        if self._error is not None:
            raise self._error
        return self._verdict

    def _run(self) -> None:
        try:
            self._verdict = self.job.run()
        except BaseException as error:
            self._error = error
            self.job.abandon()


def _plan(
    work: Work, settings: Settings, addresses: list[str], check: Callable[[int], None]
) -> Plan:
    min_nodes = settings.min_nodes or len(addresses)
    if min_nodes > len(addresses):
        raise SymbioError(f"--min-nodes {min_nodes}: there are only {len(addresses)} hosts")
    return Plan(
        work=work,
        addresses=addresses,
        min_nodes=min_nodes,
        restarts=settings.restarts,
        host_timeout_s=settings.host_timeout_s,
        grace_s=settings.grace_s,
        check=check,
    )


def _node(work: Work, settings: Settings, coordinator: tuple[str, int]) -> Node:
    # What this host was given itself (its own params.yaml, say) goes to its own ranks, so that a
    # host with other parameters is noticed and not overruled.
    return Node(
        coordinator,
        work.name,
        settings.node_rank,
        settings.ranks,
        settings.host_timeout_s,
        settings.grace_s,
        work.environment if settings.node_rank > 0 else None,
    )
