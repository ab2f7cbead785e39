"""Faults planted in a rank before it trains."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from symbio.data.loader import GlobalBatches
from symbio.ranks.place import Place
from symbio.train import objective, validate
from symbio.train.checkpoints import manifest, snapshot, writer


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
    original = writer.shutil.disk_usage

    def disk_usage(path: Any) -> Any:
        calls.append(path)
        usage = original(path)
        return usage._replace(free=0) if len(calls) == save else usage

    writer.shutil.disk_usage = disk_usage  # type: ignore[assignment]


def write_fails(place: Place, rank: int, name: str) -> None:
    """On one rank, the first shard whose name holds `name` cannot be written."""
    if place.rank != rank:
        return
    original, failed = torch.save, []

    def save(state: Any, file: Any, *args: Any, **options: Any) -> None:
        if name in file.name and not failed:
            failed.append(file)
            raise OSError(errno.ENOSPC, "No space left on device", file.name)
        original(state, file, *args, **options)

    torch.save = save


def kill_in_save(place: Place, save: int, delay_s: float) -> None:
    """kill -9 this rank some time after checkpoint number `save` (from 1) was begun."""
    original, calls = writer.Writer.begin, []

    def watched(*args: Any) -> bool:
        calls.append(1)
        if len(calls) == save:
            threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return original(*args)

    writer.Writer.begin = watched  # type: ignore[method-assign]


def slow_disk(place: Place, seconds: float) -> None:
    """Each write of a checkpoint's file takes longer."""
    original = manifest.HashedFile.write

    def write(self: manifest.HashedFile, data: bytes | memoryview) -> int:
        if len(data) > 1000:
            time.sleep(seconds)
        return original(self, data)

    manifest.HashedFile.write = write  # type: ignore[method-assign]


def fills_up(place: Place, save: int, filler: str) -> None:
    """While checkpoint number `save` (from 1) is written by the thread, the disk fills up.

    `filler` is a file on the same disk, there as long as the checkpoint is pending.
    """
    begin, finish = writer.Writer.begin, writer.Writer.finish
    slowed, calls = manifest.HashedFile.write, []

    def write(self: manifest.HashedFile, data: bytes | memoryview) -> int:
        if len(calls) == save and not os.path.exists(filler):
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
                while file.write(bytes(65536)):
                    pass
        return slowed(self, data)

    def counted(*args: Any) -> bool:
        calls.append(1)
        return begin(*args)

    def freed(*args: Any) -> Any:
        outcome = finish(*args)
        with contextlib.suppress(OSError):
            os.unlink(filler)
        return outcome

    if place.first:
        manifest.HashedFile.write = write  # type: ignore[method-assign]
        writer.Writer.begin = counted  # type: ignore[method-assign]
        writer.Writer.finish = freed  # type: ignore[method-assign]


def no_memory_at_save(place: Place, rank: int, save: int) -> None:
    """One rank has no memory for the copy of checkpoint number `save` (from 1)."""
    original, calls = writer.copied, []

    def copied(content: Any) -> Any:
        calls.append(1)
        if len(calls) == save:
            raise snapshot.NoMemory("can't allocate memory")
        return original(content)

    if place.rank == rank:
        writer.copied = copied


def stopped_in_validation(place: Place, rank: int, batch: int) -> None:
    """SIGTERM reaches one rank when it has scored so many batches of the val split."""
    original, scored = validate.Validation._add, []

    def add(*args: Any) -> None:
        original(*args)
        scored.append(1)
        if len(scored) == batch and place.rank == rank:
            os.kill(os.getpid(), signal.SIGTERM)
        assert len(scored) <= batch, "a batch was scored after the request to stop"

    validate.Validation._add = add  # type: ignore[method-assign]
