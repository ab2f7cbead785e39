"""The progress line of a training run: step, losses, learning rate, speed and cost, time left."""

from __future__ import annotations

import sys
import time
from typing import Any

from symbio.progress import say
from symbio.tell import tell_progress

_PLAIN_INTERVAL_S = 10.0
_SMOOTHING = 0.1


class ProgressLine:
    """A live line on a terminal; elsewhere a plain line every few seconds.

    Whoever started the command is told the step as well (`symbio.tell`).
    """

    def __init__(self, name: str, step: int, steps: int, frames_a_step: int, visible: bool) -> None:
        self._name, self._steps, self._frames = name, steps, frames_a_step
        self._last = self._said = time.monotonic()
        self._step, self._step_s = step, 0.0
        self._live: Any = None
        self._visible = visible
        self._tell()
        if visible and sys.stderr.isatty():
            self._live = _live_line()
            self._task = self._live.add_task(f"train {name}", total=steps, completed=step, text="")
            self._live.start()

    @property
    def frames_per_s(self) -> float:
        """Frames of the global batch a second, smoothed over about ten steps."""
        return self._frames / self._step_s if self._step_s > 0 else 0.0

    def pause(self) -> None:
        """Leave out the time since the last step (a validation, a checkpoint)."""
        self._last = time.monotonic()

    def advance(self, step: int) -> None:
        """Take note that `step` steps are done."""
        now = time.monotonic()
        spent, self._last = now - self._last, now
        share = _SMOOTHING if self._step_s else 1.0
        self._step_s += share * (spent - self._step_s)
        self._step = step

    def show(self, losses: dict[str, float], lr: float, cost: str) -> None:
        """Show where the run is; `cost` in words (`symbio.train.meter.told`)."""
        step, now = self._step, self._last
        self._tell()
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
        text = f"{numbers}  lr {lr:.3g}  {self.frames_per_s:.1f} frames/s {cost}"
        if self._live is not None:
            self._live.update(self._task, completed=step, text=text)
        elif self._visible and (now - self._said >= _PLAIN_INTERVAL_S or step == self._steps):
            self._said = now
            left = self._step_s * (self._steps - step)
            say(f"train {self._name}: {step}/{self._steps}  {text}  {left:.0f} s left")

    def _tell(self) -> None:
        if self._visible:
            tell_progress(f"train {self._name}", self._step, self._steps)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()


def _live_line() -> Any:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=20),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=False,
    )
