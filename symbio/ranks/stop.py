"""Stopping on request. A request only sets a flag; the ranks agree on it at each step."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Literal

StopReason = Literal["preempted", "interrupted", "abandoned"]

PREEMPTED: Literal["preempted"] = "preempted"
INTERRUPTED: Literal["interrupted"] = "interrupted"
ABANDONED: Literal["abandoned"] = "abandoned"

_REASONS: tuple[StopReason, ...] = (PREEMPTED, INTERRUPTED, ABANDONED)
"""The first that any rank was given counts: whoever sends a signal wants a checkpoint."""

NUM_FLAGS = len(_REASONS)
"""Numbers by which a rank tells the others what it was asked."""


class StopRequest:
    """Set by SIGTERM ("preempted") or SIGINT ("interrupted"); the first one counts.

    Launchers signal the ranks one after another, up to half a minute apart, so a checkpoint that
    needs all ranks cannot be made inside a handler.
    """

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._abandoned: Callable[[], bool] = lambda: False

    def install(self) -> None:
        """Take over SIGTERM and SIGINT of this process (main thread only)."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def ask_each_time(self, abandoned: Callable[[], bool]) -> None:
        """Let `now` ask whether nobody wants the work any more, where no signal came."""
        self._abandoned = abandoned

    def now(self) -> StopReason | None:
        """What this process has been asked so far."""
        if self.reason is None and self._abandoned():
            self.reason = ABANDONED
        return self.reason

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason in (None, ABANDONED):
            self.reason = INTERRUPTED if number == signal.SIGINT else PREEMPTED


def flags_of(reason: StopReason | None) -> list[bool]:
    """What a rank was asked, as NUM_FLAGS numbers to be summed over the ranks."""
    return [reason == known for known in _REASONS]


def reason_in(sums: Sequence[float]) -> StopReason | None:
    """What any rank was asked, from the sums of all ranks' flags."""
    return next((known for known, asked in zip(_REASONS, sums, strict=True) if asked), None)
