"""Training batches: the global batch of step n is the same on any number of ranks."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from symbio.data.augment import (
    Draw,
    augment_rng,
    augment_windows,
    crop_size,
    draw,
    window_size,
)
from symbio.data.classes import ADE20K, class_space
from symbio.data.dataset import CACHE_BYTES, FrameDataset
from symbio.data.frame import Batch, stack
from symbio.data.host import HostBatch
from symbio.data.labels import TrainingLabels
from symbio.data.mixing.apply import apply_mix, mix_rng, mixes, partner_position
from symbio.data.order import epoch_of, frame_at
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.params import Params

_AHEAD_BYTES = 256 * 2**20
_AHEAD_STEPS = 4
"""Steps are decoded ahead until either is reached; the next one always is."""


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of frames on the host, and what happens to each."""

    frames: HostBatch
    draws: list[Draw]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """One micro-batch on the host: frames and the partners of those that are mixed."""

    positions: list[int]
    own: _Windows
    mixed: list[int]
    """Positions that get a partner."""
    partners: _Windows | None


class GlobalBatches:
    """The micro-batches of one rank, step by step.

    A step's global batch is `train.batch` frames in the global order; its micro-batches of
    `train.micro_batch` consecutive frames go to the ranks in turn. What happens to a frame
    depends on (seed, epoch, position) only. Threads decode several steps ahead, of each frame
    the window that its augmentation reads; augmentation and mixing run batched on `device`.
    """

    def __init__(
        self,
        prepared: Shards,
        pseudo: Shards | None,
        params: Params,
        dataset: str,
        *,
        split: str = "train",
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
        threads: int = 1,
        keep_bytes: int = CACHE_BYTES,
    ) -> None:
        """Raises SymbioError if `train.batch` cannot be dealt to `world` ranks.

        Or if the split has no frames, one whose label is used has none, or the crop is larger
        than the frames.
        """
        train = params.train
        if train.batch % (train.micro_batch * world):
            raise SymbioError(
                f"train.batch ({train.batch}) must be a multiple of train.micro_batch "
                f"({train.micro_batch}) x ranks ({world}); change one of the three"
            )
        section = params.dataset(dataset)
        label_of = None
        if pseudo is not None:
            keys = prepared.splits.get(split, [])
            label_of = TrainingLabels(pseudo, keys, params.labels, params.seed).load
        self._frames = FrameDataset(prepared, label_of, split, section.image_size, keep_bytes)
        self._depth_range = section.depth_range
        self._crop = crop_size(train.augment, section.image_size)
        self._window = window_size(train.augment, section.image_size)
        space = class_space(params.labels.space)
        self._to_space = torch.tensor(space.from_ade20k, device=device)
        self._params = params
        self._rank = rank
        self._world = world
        self._device = torch.device(device)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
        self._ahead: dict[int, list[Future[_Decoded]]] = {}
        self.waited_s = 0.0
        """Seconds that `micro_batches` has waited for frames to be decoded."""

    @property
    def num_frames(self) -> int:
        """Frames of the split: one epoch."""
        return len(self._frames)

    @property
    def accumulation(self) -> int:
        """Micro-batches of this rank a step."""
        return self._params.train.batch // (self._params.train.micro_batch * self._world)

    def epoch(self, step: int) -> float:
        """Epochs done before `step`."""
        return step * self._params.train.batch / self.num_frames

    def micro_batches(self, step: int) -> list[Batch]:
        """This rank's micro-batches of `step` (from 0), augmented and mixed, on the device.

        Their classes are those of `labels.space`.
        """
        decoded = self._ahead.pop(step, None) or self._start(step)
        coming = range(step + 1, step + 1 + self._steps_ahead())
        for skipped in self._ahead.keys() - set(coming):
            for future in self._ahead.pop(skipped):
                future.cancel()
        for later in coming:
            if later not in self._ahead:
                self._ahead[later] = self._start(later)
        return [self._in_space(self._finish(self._awaited(future))) for future in decoded]

    def close(self) -> None:
        """Stop the decoding threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _awaited(self, future: Future[_Decoded]) -> _Decoded:
        start = time.perf_counter()
        decoded = future.result()
        self.waited_s += time.perf_counter() - start
        return decoded

    def _steps_ahead(self) -> int:
        # A partner each, at most.
        frames = 2 * self._params.train.micro_batch * self.accumulation
        affordable = _AHEAD_BYTES // HostBatch.bytes_of(frames, self._window)
        return min(max(affordable, 1), _AHEAD_STEPS)

    def _start(self, step: int) -> list[Future[_Decoded]]:
        train = self._params.train
        return [
            self._pool.submit(
                self._decode,
                step * train.batch + (turn * self._world + self._rank) * train.micro_batch,
            )
            for turn in range(self.accumulation)
        ]

    def _decode(self, first: int) -> _Decoded:
        params = self._params
        positions = list(range(first, first + params.train.micro_batch))
        mixed = [
            position
            for position in positions
            if params.nearfarmix.mix != "none"
            and mixes(
                params.seed, self._epoch_of(position), position, params.nearfarmix.probability
            )
        ]
        partners = [partner_position(position, params.train.batch) for position in mixed]
        return _Decoded(
            positions,
            self._read(positions),
            mixed,
            self._read(partners) if partners else None,
        )

    def _read(self, positions: list[int]) -> _Windows:
        """The windows of the frames at some positions of the global order."""
        seed, augmentation = self._params.seed, self._params.train.augment
        frames = HostBatch.empty(len(positions), self._window, pinned=self._device.type == "cuda")
        draws = []
        for row, position in enumerate(positions):
            rng = augment_rng(seed, self._epoch_of(position), position)
            drawn = draw(rng, self._frames.image_size, self._crop, augmentation)
            index = frame_at(seed, self.num_frames, position)
            self._frames.read(index, drawn.window, frames, row)
            draws.append(drawn)
        return _Windows(frames, draws)

    def _finish(self, decoded: _Decoded) -> Batch:
        own = self._augment(decoded.own)
        if decoded.partners is None:
            return own
        partners = self._augment(decoded.partners)
        rows = [decoded.positions.index(position) for position in decoded.mixed]
        # apply_mix looks only at the partners of frames that are mixed: the others stand in.
        order = list(range(len(own)))
        for place, row in enumerate(rows):
            order[row] = len(own) + place
        seed = self._params.seed
        rngs = [mix_rng(seed, self._epoch_of(p), p) for p in decoded.positions]
        both = stack([own, partners])
        return apply_mix(own, both.rows(order), rngs, self._params.nearfarmix)

    def _in_space(self, batch: Batch) -> Batch:
        """Rename the classes, after all mixes, which know ADE20K's."""
        if self._params.labels.space == ADE20K:
            return batch
        return replace(batch, semantic=self._to_space[batch.semantic.long()])

    def _augment(self, windows: _Windows) -> Batch:
        batch = windows.frames.to(self._device, self._frames.depth_scale, self._depth_range)
        return augment_windows(batch, windows.draws, self._params.train.augment)

    def _epoch_of(self, position: int) -> int:
        return epoch_of(position, self.num_frames)
