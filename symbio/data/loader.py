"""Training batches: the global batch of step n is the same on any number of ranks."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from symbio.data.augment import augment, augment_rng
from symbio.data.classes import ADE20K, class_space
from symbio.data.dataset import FrameDataset
from symbio.data.frame import Batch, stack
from symbio.data.labels import TrainingLabels
from symbio.data.mixing.apply import apply_mix, mix_rng, mixes, partner_position
from symbio.data.order import epoch_of, frame_at
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.params import Params


@dataclass(frozen=True, slots=True)
class _Decoded:
    """One micro-batch on the host: frames and the partners of those that are mixed."""

    positions: list[int]
    own: list[Batch]
    partners: dict[int, Batch]


class GlobalBatches:
    """The micro-batches of one rank, step by step.

    A step's global batch is `train.batch` frames in the global order; its micro-batches of
    `train.micro_batch` consecutive frames go to the ranks in turn. Crop, flip, colour and mix
    depend on (seed, epoch, position) only. Decoding runs ahead by one step in threads;
    augmentation and mixing run batched on `device`.
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
    ) -> None:
        """Raises SymbioError if `train.batch` cannot be dealt to `world` ranks.

        Or if the split has no frames, or one whose label is used has none.
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
        self._frames = FrameDataset(
            prepared, label_of, split, section.image_size, section.depth_range
        )
        space = class_space(params.labels.space)
        self._to_space = torch.tensor(space.from_ade20k, device=device)
        self._params = params
        self._rank = rank
        self._world = world
        self._device = device
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode")
        self._ahead: dict[int, list[Future[_Decoded]]] = {}

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
        self._ahead = {step + 1: self._start(step + 1)}
        return [self._in_space(self._finish(future.result())) for future in decoded]

    def close(self) -> None:
        """Stop the decoding threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

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
        needed = {
            position: partner_position(position, params.train.batch)
            for position in positions
            if params.nearfarmix.mix != "none"
            and mixes(
                params.seed, self._epoch_of(position), position, params.nearfarmix.probability
            )
        }
        return _Decoded(
            positions,
            [self._frame(position) for position in positions],
            {own: self._frame(partner) for own, partner in needed.items()},
        )

    def _finish(self, decoded: _Decoded) -> Batch:
        own = self._augment(decoded.own, decoded.positions)
        if not decoded.partners:
            return own
        seed, mix_params = self._params.seed, self._params.nearfarmix
        mixed = sorted(decoded.partners)
        partner_positions = [partner_position(p, self._params.train.batch) for p in mixed]
        partners = self._augment([decoded.partners[p] for p in mixed], partner_positions)
        rows = [decoded.positions.index(position) for position in mixed]
        # apply_mix looks only at the partners of frames that are mixed: the others stand in.
        order = list(range(len(own)))
        for place, row in enumerate(rows):
            order[row] = len(own) + place
        rngs = [mix_rng(seed, self._epoch_of(p), p) for p in decoded.positions]
        return apply_mix(own, stack([own, partners]).rows(order), rngs, mix_params)

    def _in_space(self, batch: Batch) -> Batch:
        """Rename the classes, after all mixes, which know ADE20K's."""
        if self._params.labels.space == ADE20K:
            return batch
        return replace(batch, semantic=self._to_space[batch.semantic.long()])

    def _augment(self, frames: list[Batch], positions: list[int]) -> Batch:
        batch = stack(frames).to(self._device)
        rngs = [augment_rng(self._params.seed, self._epoch_of(p), p) for p in positions]
        return augment(batch, rngs, self._params.train.augment)

    def _frame(self, position: int) -> Batch:
        return self._frames[frame_at(self._params.seed, self.num_frames, position)]

    def _epoch_of(self, position: int) -> int:
        return epoch_of(position, self.num_frames)
