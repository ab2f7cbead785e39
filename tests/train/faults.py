"""Faults planted in a rank before it trains."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import torch

from symbio.data.loader import GlobalBatches
from symbio.ranks.place import Place
from symbio.train import checkpoint, objective


def _before_step(action: Callable[[int], None]) -> None:
    original = GlobalBatches.micro_batches

    def micro_batches(self: GlobalBatches, step: int) -> Any:
        action(step)
        return original(self, step)

    GlobalBatches.micro_batches = micro_batches  # type: ignore[method-assign]


def signal_at(place: Place, rank: int, step: int, number: int) -> None:
    """Send a signal to one rank when it fetches the batches of a step."""
    if place.rank == rank:
        _before_step(lambda now: os.kill(os.getpid(), number) if now == step else None)


def kill_at(place: Place, rank: int, step: int) -> None:
    """kill -9 one rank at a step."""
    signal_at(place, rank, step, signal.SIGKILL)


def nan_loss_at(place: Place, rank: int, steps: list[int]) -> None:
    """Make one rank's loss, and what it hands on to the weights, not a number at some steps."""
    _spoil(place, rank, steps, lambda loss: loss * float("nan"))


def nan_gradient_at(place: Place, rank: int, steps: list[int]) -> None:
    """Leave one rank's loss finite and make its gradient not a number at some steps."""
    # sqrt has value 0 and an infinite slope at 0; times 0 that is NaN.
    _spoil(place, rank, steps, lambda loss: loss + torch.sqrt(loss * 0.0))


def _spoil(place: Place, rank: int, steps: list[int], change: Callable[..., Any]) -> None:
    if place.rank != rank:
        return
    now = [-1]
    _before_step(lambda step: now.__setitem__(0, step))
    original = objective.silog
    objective.silog = lambda *args: (  # type: ignore[assignment]
        change(original(*args)) if now[0] in steps else original(*args)
    )


def nan_twice(place: Place, rank: int, loss_step: int, gradient_step: int) -> None:
    """NaN in the loss at one step and in the gradient alone at another."""
    nan_loss_at(place, rank, [loss_step])
    nan_gradient_at(place, rank, [gradient_step])


def no_space_at_save(place: Place, save: int) -> None:
    """Before checkpoint number `save` (from 1) the disk turns out to be full."""
    calls = []
    original = checkpoint.shutil.disk_usage

    def disk_usage(path: Any) -> Any:
        calls.append(path)
        usage = original(path)
        return usage._replace(free=0) if len(calls) == save else usage

    checkpoint.shutil.disk_usage = disk_usage  # type: ignore[assignment]


def write_fails(place: Place, rank: int, name: str) -> None:
    """On one rank, the first shard whose name holds `name` cannot be written."""
    if place.rank != rank:
        return
    original, failed = torch.save, []

    def save(state: Any, path: Any, *args: Any, **options: Any) -> None:
        if name in str(path) and not failed:
            failed.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        original(state, path, *args, **options)

    torch.save = save


def kill_in_save(place: Place, save: int, delay_s: float) -> None:
    """kill -9 this rank some time after checkpoint number `save` (from 1) was begun."""
    original, calls = checkpoint.save, []

    def watched(*args: Any, **options: Any) -> bool:
        calls.append(1)
        if len(calls) == save:
            threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return original(*args, **options)

    checkpoint.save = watched
