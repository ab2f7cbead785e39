"""Progress of a task while its command works: what the command tells, as a progress artifact."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.page.key import artifact_key
from flows.page.quietly import in_a_run, shown_if_possible
from symbio.plan.budget import duration_text
from symbio.tell import read_progress

_EVERY_S = 3.0
_PATIENCE_S = 1.0
"""How long the end of the work waits for the last update."""


@contextlib.contextmanager
def shown_progress(folder: Path, stage: str, every_s: float = _EVERY_S) -> Iterator[None]:
    """Show on the running task's page how far the command is, while the block runs.

    Prefect's server may be slow or away: the block is left a second after its end at the latest.
    Outside a run nothing is shown. A command that tells nothing gets no artifact.

    Args:
        folder: where the command tells (`symbio.tell`).
        stage: "train@nyu"; the artifact's key is then `train-nyu-progress`.
        every_s: seconds between two looks.
    """
    if not in_a_run():
        yield
        return
    shown = _Shown(folder, stage)
    over = threading.Event()
    # The thread's artifact belongs to this task run, and goes through its client.
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(shown.follow, over, every_s), name=f"page of {stage}", daemon=True
    )
    thread.start()
    try:
        yield
        shown.succeeded = True
    finally:
        over.set()
        thread.join(_PATIENCE_S)


class _Shown:
    """The artifact of one task, kept up to date by one thread."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.succeeded = False
        self._folder, self._stage = folder, stage
        self._artifact: UUID | None = None
        self._told: tuple[float, str] | None = None
        self._first: dict[str, Any] | None = None

    def follow(self, over: threading.Event, every_s: float) -> None:
        """Update until `over` is set, and once more."""
        while not over.wait(every_s):
            self._update(self._look())
        seen = self._look()
        if self.succeeded and (seen or self._artifact):
            self._update((100.0, f"{self._stage}: done"))
        elif seen:
            self._update((seen[0], f"{self._stage}: ended at {seen[1]}"))

    def _look(self) -> tuple[float, str] | None:
        """Percent done, and the same in words; None while nothing is told."""
        now = read_progress(self._folder)
        if now is None:
            return None
        first = self._first
        if first is None or first["what"] != now["what"] or now["done"] < first["done"]:
            self._first = first = now
        what, done, total = now["what"], now["done"], now["total"]
        if total is None:
            return 0.0, f"{what}: {done}"
        percent = round(min(100.0, 100.0 * done / total), 1) if total else 100.0
        return percent, f"{what}: {done} of {total}{_left(first, now)}"

    def _update(self, seen: tuple[float, str] | None) -> None:
        if seen is None or seen == self._told:
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        percent, words = seen
        with shown_if_possible(f"progress of {self._stage}"):
            if self._artifact is None:
                key = artifact_key(self._stage, "progress")
                made = create_progress_artifact(percent, key, words)
                assert isinstance(made, UUID)
                self._artifact = made
            else:
                update_progress_artifact(self._artifact, percent, words)
            self._told = seen


def _left(first: dict[str, Any], now: dict[str, Any]) -> str:
    """The time left, if it goes on as since `first`."""
    steps, seconds = now["done"] - first["done"], now["time"] - first["time"]
    if steps <= 0 or seconds <= 0 or now["done"] >= now["total"]:
        return ""
    return f", {duration_text(seconds / steps * (now['total'] - now['done']))} left"
