"""A run over hosts, seen from the one place that leads it.

The hosts (`symbio.ranks.node`) call in and stay connected. The job deals out ranks, notices a host
that is lost or a rank that failed, ends the others, and starts again from the last checkpoint with
the hosts that are there, as often as allowed. Imports nothing heavy.
"""

from __future__ import annotations

import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from symbio import __version__
from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import (
    FAILED,
    MISTAKE,
    OUT_OF_MEMORY,
    RESUME_ME,
    RankEnd,
    Report,
    Word,
)
from symbio.ranks.local import AFTER_FAILURE_S, Work
from symbio.ranks.node import Verdict
from symbio.ranks.ssh import Shells
from symbio.ranks.wire import Link, Message

_FIRST_MUSTER_S = 600.0
"""How long the first roll call waits: schedulers start hosts minutes apart."""
_QUIET_S = 2.0
_POLL_S = 0.5
_KILL_S = 5.0
"""What a host may need beyond its deadlines to end its ranks and say so."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job may do."""

    work: Work
    addresses: list[str]
    """Address of each host that may take part, by node rank, as the others reach it; "" for one
    that never leads (it holds no rank 0)."""
    min_nodes: int
    restarts: int
    host_timeout_s: float
    grace_s: float
    check: Callable[[int], None] = lambda world: None
    """Raises SymbioError where the work cannot be dealt to so many ranks."""


@dataclass
class _Member:
    """A host that called in."""

    node: int
    host: str
    ranks: int
    link: Link
    report: Report | None = None
    """Of the running attempt, once its ranks have ended."""
    lost: bool = False


@dataclass
class _Event:
    """Something that happened; `link` tells where."""

    link: Link
    message: Message | None


@dataclass
class _Outcome:
    """How an attempt ended."""

    ends: list[RankEnd] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Names of hosts that were lost."""


class Job:
    """Leads one run. `run` blocks; `stop` may be called from another thread."""

    def __init__(self, plan: Plan, listener: socket.socket, shells: Shells | None = None) -> None:
        """Open for hosts.

        Args:
            plan: what to do.
            listener: where hosts call in.
            shells: by which hosts are started; None: others start them.
        """
        self._plan = plan
        self._listener = listener
        self._shells = shells
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._members: dict[Link, _Member] = {}
        self._stop: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self, number: int) -> None:
        """Ask all ranks to write a checkpoint and end, as signal `number` to a launcher does."""
        self._stop = number
        self._tell_all({"stop": number})

    def abandon(self) -> None:
        """End all ranks at once, without a checkpoint; for a launcher that leaves early."""
        self._stop = signal.SIGTERM
        self._tell_all({"done": asdict(Verdict(RESUME_ME, "ended by its launcher"))})

    def run(self) -> Verdict:
        """Lead the run to its end."""
        attempt = 0
        while True:
            members, problems = self._muster(attempt)
            if problems and attempt == 0:
                verdict = Verdict(MISTAKE, "; ".join(problems))
                break
            if len(members) < self._plan.min_nodes and self._stop is None:
                verdict = self._too_few(members)
                break
            verdict = self._attempt(attempt, members)
            if verdict.code != RESUME_ME or verdict.message is None or self._stop is not None:
                break
            if attempt == self._plan.restarts:
                tries = f" (after {attempt} restarts)" if attempt else ""
                message = f"{verdict.message}{tries}; run the same command to continue"
                verdict = Verdict(RESUME_ME, message)
                break
            attempt += 1
            say(f"{verdict.message}; restart {attempt} of {self._plan.restarts}")
        verdict = replace(verdict, stopped=self._stop is not None)
        self._tell_all({"done": asdict(verdict)})
        self._listener.close()
        return verdict

    def _attempt(self, attempt: int, members: list[_Member]) -> Verdict:
        """Let the ranks run once."""
        if self._stop is not None:
            return Verdict(RESUME_ME, "stopped before the ranks were started")
        try:
            self._plan.check(sum(member.ranks for member in members))
        except SymbioError as error:
            return Verdict(RESUME_ME if attempt else MISTAKE, str(error))
        if not self._start(attempt, members):
            return Verdict(RESUME_ME, f"host {members[0].host} was lost before the ranks started")
        return self._verdict(self._follow(members))

    def _muster(self, attempt: int) -> tuple[list[_Member], list[str]]:
        """Call the roll until all hosts are there, or no more will come, or time is up.

        Returns:
            The hosts that are there, by node rank, and why others will not come.
        """
        patience = 2 * self._plan.host_timeout_s if attempt else _FIRST_MUSTER_S
        begun, said = time.monotonic(), False
        if self._shells is not None:
            self._shells.start(self._missing())
        problems: list[str] = []
        while self._stop is None and time.monotonic() < begun + patience:
            missing = self._missing()
            problems = self._will_not_come(missing)
            if len(problems) == len(missing) or (problems and attempt == 0):
                break
            if not said and time.monotonic() > begun + _QUIET_S:
                said = True
                names = ", ".join(f"node {node}" for node in missing)
                say(f"waiting up to {patience:.0f} s for {names}")
            self._take(_POLL_S)
        return sorted(self._members.values(), key=lambda member: member.node), problems

    def _will_not_come(self, missing: list[int]) -> list[str]:
        if self._shells is None:
            return []
        ends = [self._shells.ended(node) for node in missing]
        return [end for end in ends if end is not None]

    def _missing(self) -> list[int]:
        here = {member.node for member in self._members.values()}
        return [node for node in range(len(self._plan.addresses)) if node not in here]

    def _too_few(self, members: list[_Member]) -> Verdict:
        missing = ", ".join(
            f"node {node} {self._plan.addresses[node]}".rstrip() for node in self._missing()
        )
        return Verdict(
            RESUME_ME,
            f"{len(members)} of {len(self._plan.addresses)} hosts are there and "
            f"{self._plan.min_nodes} are needed (--min-nodes); missing: {missing}; run the same "
            "command to continue",
        )

    def _start(self, attempt: int, members: list[_Member]) -> bool:
        """Deal out the ranks; False if the first host is lost before it could lead them."""
        first, nodes = members[0], len(members)
        first.link.send({"prepare": nodes})
        port = self._port_of(first)
        if port is None:
            return False
        # A host that shares this process's machine called in over some address of its own; what
        # the others reach it by is the address at which they reached us.
        reached = next((m.link.own_address for m in members if not _is_loopback(m)), None)
        address = "127.0.0.1" if nodes == 1 else self._plan.addresses[first.node]
        world, first_rank = sum(member.ranks for member in members), 0
        arguments = self._plan.work.arguments
        if attempt > 0 and self._plan.work.arguments_again is not None:
            arguments = self._plan.work.arguments_again
        for number, member in enumerate(members):
            member.report = None
            share = {
                "ranks": member.ranks,
                "first_rank": first_rank,
                "world": world,
                "node": number,
                "nodes": nodes,
                "master": [address, port],
            }
            order = {
                "attempt": attempt,
                "share": share,
                "name": self._plan.work.name,
                "module": self._plan.work.module,
                "arguments": list(arguments),
                "environment": self._plan.work.environment,
                "address": reached if _is_loopback(member) else None,
            }
            member.link.send({"start": order})
            first_rank += member.ranks
        return True

    def _port_of(self, first: _Member) -> int | None:
        deadline = time.monotonic() + self._plan.host_timeout_s
        while not first.lost and time.monotonic() < deadline:
            message = self._take(0.5, first)
            if message is not None and "ready" in message:
                return int(message["ready"])
        return None

    def _follow(self, members: list[_Member]) -> _Outcome:
        """Wait until the ranks of all hosts have ended, or their hosts are lost."""
        deadline: float | None = None
        while any(member.report is None and not member.lost for member in members):
            self._take(0.5)
            if deadline is None and any(m.lost or _failed(m.report) for m in members):
                deadline = time.monotonic() + AFTER_FAILURE_S + _KILL_S
                for member in members:
                    member.link.send({"end": AFTER_FAILURE_S})
            if deadline is not None and time.monotonic() > deadline:
                for member in members:
                    if member.report is None:
                        member.link.close()  # it does not even say that its ranks are killed
        outcome = _Outcome()
        for member in members:
            if member.report is None:
                outcome.lost.append(member.host)
            else:
                outcome.ends += member.report.ends
                outcome.words += member.report.words
        return outcome

    def _verdict(self, outcome: _Outcome) -> Verdict:
        """What an attempt's end means: mistakes, memory, losses, and last a program's failure."""
        mistakes = [word for word in outcome.words if word.mistake]
        if mistakes:
            return Verdict(MISTAKE, self._said(mistakes[0]))
        short = [word for word in outcome.words if word.out_of_memory]
        if short:
            peak_bytes = max((w.peak_bytes for w in short if w.peak_bytes), default=None)
            said = self._said(short[0])
            return Verdict(FAILED, said, out_of_memory=True, peak_bytes=peak_bytes)
        if outcome.lost:
            return Verdict(RESUME_ME, f"lost: {', '.join(f'host {name}' for name in outcome.lost)}")
        stopped = [end for end in outcome.ends if _stopped_early(end)]
        if self._stop is not None and stopped:
            return Verdict(RESUME_ME, "stopped while starting; the same command goes on")
        killed = [end for end in outcome.ends if end.code < 0 and not end.ended_by_us]
        if killed:
            return Verdict(RESUME_ME, "; ".join(map(str, killed)))
        failures = [word for word in outcome.words if not word.loss]
        if failures:
            return Verdict(FAILED, self._said(failures[0]))
        if outcome.words:
            return Verdict(RESUME_ME, self._said(outcome.words[0]))
        if self._stop is not None and any(end.ended_by_us for end in outcome.ends):
            return Verdict(
                RESUME_ME,
                f"no checkpoint was written within {self._plan.grace_s:.0f} s of the request to "
                "stop (SYMBIO_GRACE); the one before stands",
            )
        bad = [end for end in outcome.ends if not end.in_order]
        if bad:
            return Verdict(FAILED, "; ".join(map(str, bad)))
        return Verdict(RESUME_ME if any(end.code for end in outcome.ends) else 0)

    def _said(self, word: Word) -> str:
        kind = "" if word.kind in ("SymbioError", "Hung", OUT_OF_MEMORY) else f"{word.kind}: "
        ranks = sum(member.ranks for member in self._members.values())
        return f"rank {word.rank}: {kind}{word.message}" if ranks > 1 else f"{kind}{word.message}"

    def _take(self, timeout_s: float, wanted: _Member | None = None) -> Message | None:
        """Handle one event; returns its message if it is from `wanted`."""
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        member = self._members.get(event.link)
        if event.message is None:
            if member is not None:
                member.lost = True
                del self._members[event.link]
                say(f"host {member.host} (node {member.node}) is lost")
            return None
        try:
            self._heed(event.link, member, event.message)
        except (KeyError, TypeError, ValueError):
            event.link.close()  # whoever that is, it is no host of this run
            return None
        return event.message if member is wanted else None

    def _heed(self, link: Link, member: _Member | None, message: Message) -> None:
        if member is None:
            self._welcome(link, message["hello"])
        elif "stop" in message:
            self.stop(int(message["stop"]))
        elif "ended" in message:
            member.report = Report.from_dict(message["report"])

    def _welcome(self, link: Link, hello: dict[str, Any]) -> None:
        """Take a host in, or send it away."""
        expected = {"name": self._plan.work.name, "version": __version__}
        wrong = [
            f"{key} {hello[key]!r}, here {value!r}"
            for key, value in expected.items()
            if hello[key] != value
        ]
        node = int(hello["node"])
        if not 0 <= node < len(self._plan.addresses):
            wrong.append(f"node rank {node}, here there are {len(self._plan.addresses)} nodes")
        if wrong:
            text = f"host {hello['host']} is refused by the run it called: {'; '.join(wrong)}"
            say(text)
            link.send({"done": asdict(Verdict(MISTAKE, text))})
            return
        for other in [m for m in self._members.values() if m.node == node]:
            # The same host once more, before the end of its last connection was noticed.
            other.lost = True
            other.link.close()
            self._members.pop(other.link)
        self._members[link] = _Member(node, str(hello["host"]), int(hello["ranks"]), link)
        if self._stop is not None:
            link.send({"stop": self._stop})

    def _tell_all(self, message: Message) -> None:
        for member in list(self._members.values()):
            member.link.send(message)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        box: list[Link] = []
        ready = threading.Event()

        def take(message: Message | None) -> None:
            ready.wait()
            self._events.put(_Event(box[0], message))

        box.append(Link(connection, self._plan.host_timeout_s, take))
        ready.set()


def _failed(report: Report | None) -> bool:
    return report is not None and not all(end.in_order for end in report.ends)


def _stopped_early(end: RankEnd) -> bool:
    """Whether a request to stop ended the rank before it could catch one."""
    return end.code in (-signal.SIGINT, -signal.SIGTERM) and not end.ended_by_us


def _is_loopback(member: _Member) -> bool:
    return member.link.peer_address.startswith("127.") or member.link.peer_address == "::1"
