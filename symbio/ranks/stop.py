"""Stopping on request. The handler only sets a flag; the ranks agree on it at each step."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Literal

StopReason = Literal["preempted", "interrupted"]

PREEMPTED: Literal["preempted"] = "preempted"
INTERRUPTED: Literal["interrupted"] = "interrupted"


class StopRequest:
    """Set by SIGTERM ("preempted") or SIGINT ("interrupted"); the first one counts.

    Launchers signal the ranks one after another, up to half a minute apart, so a checkpoint that
    needs all ranks cannot be made inside a handler.
    """

    def __init__(self) -> None:
        self.reason: StopReason | None = None

    def install(self) -> None:
        """Take over SIGTERM and SIGINT of this process (main thread only)."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason is None:
            self.reason = INTERRUPTED if number == signal.SIGINT else PREEMPTED
