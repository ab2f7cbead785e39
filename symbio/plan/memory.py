"""Peak memory of a rank, by ZeRO stage: one traced micro-batch, and what DeepSpeed keeps around it.

W is the network's weights in float32, R the number of ranks. What DeepSpeed 0.19 holds, read in
its source and checked against processes:

| stage | weights | optimiser | gradients while a backward runs | in the optimiser's step |
|---|---|---|---|---|
| 0 | W | 2W | as they are made | W and a flat copy W for the exchange |
| 1 | W | 3W/R | as they are made, and a bucket W | 2W, or 4W/R: two copies, two of AdamW's |
| 2 | W | 3W/R | a bucket W a data type, for they move into it | 2W + W/R, or 4W/R |
| 3 | W/R, and W gathered | 3W/R | a flat W/R and a bucket W, always there | W + W/R |

Beside it every rank keeps a plain copy of the network to be scored and exported, and the averaged
weights where `train.ema_decay` is not 0. On the CPU a rank also holds decoded frames, and the
copy of a checkpoint while a thread writes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from symbio.params import TrainParams
from symbio.plan.trace import StepTrace

HEAP_SLACK = 0.30
"""Memory that glibc's heap holds beyond what is in use, as a share of it. Blocks of tensors are
aligned, and glibc before 2.38 finds no room for one in a hole left by another of the same size;
measured with 2.36 over three networks and two crops: 0.24 to 0.37, more for tiny frames."""

HEAP_SLACK_ACCUMULATING = 0.95
"""The same with several micro-batches a step: the gradients of the first lie between the holes,
so that these neither grow together nor go back to the system; measured 0.75 to 1.2."""

_LARGEST_HEAP_BLOCK = 32 * 2**20
"""Larger ones are mapped and given back at once."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes of one rank at its fullest moment."""

    stage: int
    weights: int
    """The network, its plain copy, the averaged weights; gathered ones under stage 3."""
    optimizer: int
    """Master copy and moments."""
    gradients: int
    """Gradients and DeepSpeed's buckets."""
    activations: int
    """What autograd holds, temporaries and inputs."""
    host: int = 0
    """On the CPU: process, decoded frames, copy of a checkpoint."""
    slack: int = 0
    """On the CPU: what the allocator holds beyond the sum."""

    @property
    def total(self) -> int:
        """The sum."""
        parts = (self.weights, self.optimizer, self.gradients, self.activations)
        return sum(parts) + self.host + self.slack


@dataclass(frozen=True)
class Estimate:
    """Peaks of a run's ranks."""

    trace: StepTrace
    train: TrainParams
    world: int
    accumulation: int
    """Micro-batches a rank a step."""
    host_bytes: dict[int, int] | None
    """On the CPU: what a rank holds beside tensors, by stage; None on a GPU."""
    frame_bytes: int = 0
    """On the CPU: decoded frames kept for the next epoch."""

    def peak(self, stage: int) -> Peak:
        """The fullest moment under a ZeRO stage."""
        weights, optimizer = self._held(stage)
        backward = self._backward(stage)
        peak = Peak(stage, weights, optimizer, backward.gradients, backward.activations)
        in_step = self._in_step(stage)
        if in_step > backward.gradients + backward.activations:
            peak = Peak(stage, weights, optimizer, in_step, 0)
        if self.host_bytes is None:
            return peak
        host = self.host_bytes[stage] + self.frame_bytes + self._checkpoint_copy(stage)
        share = HEAP_SLACK if self.accumulation == 1 else HEAP_SLACK_ACCUMULATING
        return replace(peak, host=host, slack=round(share * backward.heap))

    @cached_property
    def _whole(self) -> int:
        """W in bytes."""
        return 4 * self.trace.num_parameters

    @property
    def _part(self) -> int:
        """W / R."""
        return -(-self._whole // self.world)

    def _held(self, stage: int) -> tuple[int, int]:
        """Weights and optimiser state, there all the time from the second step on."""
        whole, part = self._whole, self._part
        # The network's buffers; those of its plain copy; three copies in a step.
        buffers = 5 * self.trace.buffer_bytes
        # Stage 3: a rank's own part, and all weights gathered for forward and backward.
        weights = whole + whole + (part if stage == 3 else 0) + buffers
        if self.train.ema_decay > 0:
            weights += (part if stage == 3 else whole) + self.trace.buffer_bytes
        return weights, 2 * whole if stage == 0 else 3 * part

    def _backward(self, stage: int) -> _Moment:
        """The fullest moment of forward and backward of the last micro-batch of a step."""
        whole, part = self._whole, self._part
        more = self.accumulation > 1
        bucket = whole * self._buckets
        always = {0: 0, 1: 0, 2: part, 3: part + bucket}[stage] if more or stage == 3 else 0
        if more and stage < 2:
            always = whole + (bucket if stage == 1 else 0)
        # Gradients are added to what is there, or moved into the bucket, as soon as they are made.
        as_made = stage < 2 and not more
        inputs = self.accumulation * self.trace.input_bytes
        best, rest, gradients, heap, first = _Moment(0, 0, 0), inputs, 0, 0, False
        for number, change in self.trace.changes:
            heap += change if abs(change) < _LARGEST_HEAP_BLOCK else 0
            if number in self.trace.gradients:
                first = True
                gradients += change if as_made else 0
            else:
                rest += change
            in_bucket = bucket if first and stage in (1, 2) and not (more and stage == 1) else 0
            now = _Moment(always + gradients + in_bucket, rest, heap)
            if now.gradients + now.activations > best.gradients + best.activations:
                best = now
        return best

    def _in_step(self, stage: int) -> int:
        """Gradients and temporaries of the exchange and of AdamW, when activations are gone."""
        whole, part = self._whole, self._part
        if stage == 0:
            return 2 * whole
        if stage == 3:
            return part + whole * self._buckets + whole + part
        return max((1 + self._buckets) * whole + (part if stage == 2 else 0), 4 * part)

    @property
    def _buckets(self) -> int:
        """Under bf16 layers that compute in it have a bucket of their own."""
        return 2 if self.train.precision == "bf16" else 1

    def _checkpoint_copy(self, stage: int) -> int:
        """Rank 0's share, copied so that training goes on while it is written."""
        if self.train.checkpoint_every >= self.train.steps:
            return 0
        module = 0 if stage == 3 else self._whole
        average = self._whole if self.train.ema_decay > 0 else 0
        return module + average + (2 * self._whole if stage == 0 else 3 * self._part)


@dataclass(frozen=True, slots=True)
class _Moment:
    gradients: int
    activations: int
    heap: int
    """Of the two, bytes in blocks small enough for the heap."""
