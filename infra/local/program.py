"""What the platform must know about a program in order to run it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a process and how to stop it."""

    command: list[str]
    """Seen by everybody on the machine: no secret is in it."""
    environment: dict[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    patience_s: float = 5.0
    """Time between the request to stop and the end by force."""
    children_first: bool = False
    """Whether its children are asked to stop before it is."""


class Program(Protocol):
    """A server, or the worker. Raises SymbioError where it cannot be started."""

    @property
    def name(self) -> str:
        """Short: names the log file."""

    @property
    def title(self) -> str:
        """For messages."""

    @property
    def where(self) -> str:
        """Its address, for people."""

    def prepare(self) -> Launch:
        """Make what it needs on disk; called before each start."""

    def healthy(self) -> bool:
        """Whether it does its work now: asked of the program itself, over its own door."""
