"""Frames on the host, as they are decoded: made into a batch on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.codec import Window
from symbio.data.frame import Batch

_BYTES_A_PIXEL = 3 + 2 + 1 + 1
"""Image, depth, class, confidence."""


@dataclass(frozen=True, slots=True)
class HostBatch:
    """B frames (or windows of one size) in the host's memory, filled row by row.

    Depth stays in the stored unit: half the bytes to move, and metres are made on the device.
    """

    image: Tensor
    """uint8 (B, 3, H, W), RGB."""
    depth: Tensor
    """uint16 (B, H, W), units of the data set; 0 = no measurement."""
    semantic: Tensor
    """uint8 (B, H, W), ADE20K class 0..149; 255 = ignore."""
    confidence: Tensor
    """uint8 (B, H, W)."""
    keys: list[str]

    @staticmethod
    def bytes_of(count: int, size: tuple[int, int]) -> int:
        """Memory of `count` frames of `size` (H, W)."""
        return count * size[0] * size[1] * _BYTES_A_PIXEL

    @staticmethod
    def empty(count: int, size: tuple[int, int], pinned: bool = False) -> HostBatch:
        """Room for `count` frames of `size` (H, W); `pinned` memory is copied to a GPU unwaited."""
        height, width = size

        def room(dtype: torch.dtype, *shape: int) -> Tensor:
            return torch.empty((count, *shape, height, width), dtype=dtype, pin_memory=pinned)

        return HostBatch(
            room(torch.uint8, 3), room(torch.uint16), room(torch.uint8), room(torch.uint8),
            [""] * count,
        )  # fmt: skip

    def put_pixels(self, row: int, image: NDArray[np.uint8], depth: NDArray[np.uint16]) -> None:
        """Fill a row with (3, H, W) and (H, W)."""
        self.image.numpy()[row] = image
        self.depth.numpy()[row] = depth

    def put_label(
        self, row: int, semantic: NDArray[np.uint8] | int, confidence: NDArray[np.uint8] | int
    ) -> None:
        """Fill a row with (H, W) each, or with one value."""
        self.semantic.numpy()[row] = semantic
        self.confidence.numpy()[row] = confidence

    def copy_window(self, row: int, whole: HostBatch, window: Window) -> None:
        """Fill a row with a window of the one frame of `whole`."""
        top, bottom, left, right = window
        rows, columns = slice(top, bottom), slice(left, right)
        self.put_pixels(
            row,
            whole.image.numpy()[0, :, rows, columns],
            whole.depth.numpy()[0, rows, columns],
        )
        self.put_label(
            row,
            whole.semantic.numpy()[0, rows, columns],
            whole.confidence.numpy()[0, rows, columns],
        )
        self.keys[row] = whole.keys[0]

    def to(
        self, device: torch.device | str, depth_scale: float, depth_range: tuple[float, float]
    ) -> Batch:
        """The frames on `device`, depth in metres.

        Args:
            device: where the batch goes; the host does not wait for the copy.
            depth_scale: stored units a metre.
            depth_range: depth outside (metres, both ends excluded) counts as no measurement.
        """
        units = self.depth.to(device, non_blocking=True).to(torch.float32)
        # A divisor on the device, as a GPU would multiply by the reciprocal of a number given
        # from the host: another last digit than the CPU's.
        metres = units / torch.full((), depth_scale, device=units.device)
        low, high = depth_range
        return Batch(
            self.image.to(device, non_blocking=True),
            torch.where((metres > low) & (metres < high), metres, 0.0),
            self.semantic.to(device, non_blocking=True),
            self.confidence.to(device, non_blocking=True),
            tuple(self.keys),
        )
