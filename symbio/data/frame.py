"""A frame and a batch of frames. Depth is in metres; 0 means no measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """B frames of one size on one device."""

    image: Tensor
    """uint8 (B, 3, H, W), RGB."""
    depth: Tensor
    """float32 (B, H, W), metres; 0 = no measurement."""
    semantic: Tensor
    """uint8 (B, H, W), ADE20K class 0..149; 255 = ignore."""
    confidence: Tensor
    """uint8 (B, H, W), 0..255: the teacher's confidence in `semantic`."""
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice) -> Batch:
        return Batch(
            self.image[rows],
            self.depth[rows],
            self.semantic[rows],
            self.confidence[rows],
            self.keys[rows],
        )

    def rows(self, order: Sequence[int]) -> Batch:
        """The frames at the given rows, in that order."""
        index = torch.tensor(order, device=self.depth.device, dtype=torch.long)
        return Batch(
            self.image.index_select(0, index),
            self.depth.index_select(0, index),
            self.semantic.index_select(0, index),
            self.confidence.index_select(0, index),
            tuple(self.keys[row] for row in order),
        )

    def to(self, device: torch.device | str) -> Batch:
        """The same frames on `device`."""
        return Batch(
            self.image.to(device, non_blocking=True),
            self.depth.to(device, non_blocking=True),
            self.semantic.to(device, non_blocking=True),
            self.confidence.to(device, non_blocking=True),
            self.keys,
        )


def stack(batches: list[Batch]) -> Batch:
    """Batches of one size behind one another."""
    return Batch(
        torch.cat([b.image for b in batches]),
        torch.cat([b.depth for b in batches]),
        torch.cat([b.semantic for b in batches]),
        torch.cat([b.confidence for b in batches]),
        tuple(key for b in batches for key in b.keys),
    )
