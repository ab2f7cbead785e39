"""Learning-rate schedules: pure functions of the step, so a resumed run cannot drift."""

from __future__ import annotations

import math

from symbio.params import TrainParams

START_DIVISOR = 25.0
"""One-cycle starts at peak / 25 ..."""
END_DIVISOR = 1e4
"""... and ends at its start / 1e4 (both as in Smith and Topin, 2018, and torch)."""


def learning_rate(step: int, params: TrainParams) -> float:
    """Learning rate of the optimiser step `step`, counted from 0."""
    if params.schedule == "onecycle":
        return one_cycle(step, params.steps, params.lr, params.warmup_share)
    return cosine(step, params.steps, params.lr, params.warmup_share)


def one_cycle(step: int, steps: int, peak: float, warmup_share: float) -> float:
    """Cosine from peak / 25 up to `peak`, then cosine down to almost nothing."""
    start = peak / START_DIVISOR
    top = warmup_share * steps - 1
    if step <= top:
        return _cosine_between(start, peak, step / max(top, 1e-9))
    return _cosine_between(peak, start / END_DIVISOR, (step - top) / max(steps - 1 - top, 1e-9))


def cosine(step: int, steps: int, peak: float, warmup_share: float) -> float:
    """Linear warm-up to `peak`, then cosine to zero at `steps`."""
    warmup = warmup_share * steps
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return _cosine_between(peak, 0.0, (step - warmup) / max(steps - warmup, 1e-9))


def _cosine_between(first: float, last: float, progress: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
