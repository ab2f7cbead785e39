"""One optimiser step: accumulate, agree with the other ranks that all is finite, update or skip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from symbio.data.draws import rng_for
from symbio.data.frame import Batch
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.ranks.stop import NUM_FLAGS, StopReason, flags_of, reason_in
from symbio.train.engine import GatedAdamW, clip_gradients
from symbio.train.watch.clock import BACKWARD, FORWARD, OPTIMIZER, StepClock
from symbio.train.weights import float_buffers


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step did; the same on all ranks."""

    losses: dict[str, float]
    """Means over the global batch."""
    applied: bool
    """Whether the weights were updated; if not, nothing else was changed either."""
    gradient_norm: float | None
    """Before clipping, where DeepSpeed measures it."""
    stop: StopReason | None
    """What any rank was asked."""
    bad_keys: list[str]
    """Frames of the micro-batches whose loss was not finite."""
    frames: list[int]
    """Indices into the training split of what all ranks loaded, in the order of the batch."""
    written: bool
    """Whether every rank has written its share of the pending checkpoint."""


class _Agreed(NamedTuple):
    """What one exchange among the ranks brought."""

    mean: list[float]
    stop: StopReason | None
    written: bool
    frames: list[int]


class Stepper:
    """Runs steps of one engine."""

    def __init__(
        self,
        engine: Any,
        optimizer: GatedAdamW,
        seed: int,
        place: Place,
        index_of: Mapping[str, int],
        clock: StepClock,
        clip_norm: float,
    ) -> None:
        """`index_of` a frame's key: its index in the training split. `clock` times the steps."""
        self._engine = engine
        self._optimizer = optimizer
        self._seed = seed
        self._place = place
        self._index_of = index_of
        self._clock = clock
        self._clip_norm = clip_norm
        self._buffers = list(float_buffers(engine.module).values())

    def run(
        self,
        step: int,
        batches: Sequence[Batch],
        lr: float,
        stop: StopReason | None,
        written: bool,
    ) -> StepReport:
        """Take one step over this rank's micro-batches. Collective.

        `stop` and `written` are this rank's; the report says what holds for all.

        Running statistics of norm layers become the mean over the global batch's micro-batches,
        by the same exchange that agrees on the losses: they are one state on all ranks, whatever
        their number. A skipped step puts them back, for a forward with NaN has poisoned them.
        """
        engine = self._engine
        for settings in self._optimizer.param_groups:
            settings["lr"] = lr
        before = [buffer.clone() for buffer in self._buffers]
        losses, statistics = self._accumulate(step, batches, before)
        self._clock.enter(OPTIMIZER)
        agreed = self._agree(losses, statistics, stop, written, self._places(batches))
        norm = clip_gradients(engine, self._clip_norm)
        finite = all(map(math.isfinite, agreed.mean)) and (norm is None or math.isfinite(norm))
        self._optimizer.withheld = not finite
        engine.step()
        applied = finite and bool(engine.was_step_applied())
        bad_keys: list[str] = []
        if not applied:
            self._set_statistics(before)
            bad_keys = _bad_keys(batches, losses)
        return StepReport(
            dict(zip(("loss", "silog", "semantic"), agreed.mean, strict=True)),
            applied,
            (norm or _norm(engine)) if applied else None,
            agreed.stop,
            bad_keys,
            agreed.frames,
            agreed.written,
        )

    def _accumulate(
        self, step: int, batches: Sequence[Batch], before: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Forward and backward of every micro-batch.

        Returns:
            Losses, float32 (micro-batches, 3), and the sum over micro-batches of the running
            statistics that each leaves when it starts from `before`, flat.
        """
        engine, world = self._engine, self._place.world
        engine.train()
        rows, statistics = [], torch.zeros_like(_flat(self._buffers, engine.device))
        for turn, batch in enumerate(batches):
            # Dropout draws from torch's global generator: seeded by the place of the micro-batch
            # in the global batch, it depends neither on the ranks nor on a resume.
            number = turn * world + self._place.rank
            torch.manual_seed(int(rng_for(self._seed, "dropout", step, number).integers(2**63)))
            self._set_statistics(before)
            self._clock.enter(FORWARD)
            losses = engine(batch.image, batch.depth, batch.semantic, batch.confidence)
            self._clock.enter(BACKWARD)
            engine.backward(losses.total)
            rows.append(torch.stack([loss.detach().float() for loss in losses]))
            statistics = statistics + _flat(self._buffers, engine.device)
            if turn + 1 < len(batches):
                engine.step()
        return torch.stack(rows), statistics

    def _places(self, batches: Sequence[Batch]) -> list[int]:
        """Indices of this rank's frames at their places in the global batch, 0 elsewhere."""
        rank, world, size = self._place.rank, self._place.world, len(batches[0])
        indices = [0] * (len(batches) * world * size)
        for turn, batch in enumerate(batches):
            first = (turn * world + rank) * size
            # A mixed frame's key is "own+partner".
            mine = [self._index_of[key.partition("+")[0]] for key in batch.keys]
            indices[first : first + size] = mine
        return indices

    def _agree(
        self,
        losses: Tensor,
        statistics: Tensor,
        stop: StopReason | None,
        written: bool,
        indices: list[int],
    ) -> _Agreed:
        """One exchange: losses, who asked to stop, what is written, frames, running statistics."""
        count = len(losses) * self._place.world
        said = losses.new_tensor([written, *flags_of(stop), *indices])
        vector = torch.cat([losses.sum(0), said, statistics])
        with self._clock.communication():
            together = group.total(vector)
        first, sizes = 3 + len(said), [buffer.numel() for buffer in self._buffers]
        self._set_statistics(list(torch.split(together[first:] / count, sizes)))
        head = together[:first].tolist()
        num_written, frames = head[3], 4 + NUM_FLAGS
        return _Agreed(
            [value / count for value in head[:3]],
            reason_in(head[4:frames]),
            num_written == self._place.world,
            [int(index) for index in head[frames:]],
        )

    def _set_statistics(self, values: Sequence[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.copy_(value.view_as(buffer))


def _flat(tensors: Sequence[Tensor], device: torch.device) -> Tensor:
    return torch.cat([torch.empty(0, device=device), *(tensor.flatten() for tensor in tensors)])


def _bad_keys(batches: Sequence[Batch], losses: Tensor) -> list[str]:
    bad = (~losses[:, 0].isfinite()).tolist()
    mine = [key for batch, flag in zip(batches, bad, strict=True) if flag for key in batch.keys]
    return [key for keys in group.gather(mine) for key in keys]


def _norm(engine: Any) -> float | None:
    norm = engine.get_global_grad_norm()
    return None if norm is None else float(norm)
