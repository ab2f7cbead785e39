"""A few frames of each split at a glance: image, depth, labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import label_space
from symbio.data.images import encode_png
from symbio.files import whole_file
from symbio.pictures import Picture, colour_classes, colour_depth, grid, labelled
from symbio.prepare.encode import Encoded
from symbio.prepare.entry import Entry, Plan

_PER_SPLIT = 3
_WIDTH_PX = 320


def shown_keys(entries: list[Entry]) -> frozenset[str]:
    """Keys of a few frames of each split, spread evenly over it."""
    splits: dict[str, list[str]] = {}
    for entry in entries:
        splits.setdefault(entry.split, []).append(entry.key)
    return frozenset(
        keys[int(place)]
        for keys in splits.values()
        for place in np.linspace(0, len(keys) - 1, _PER_SPLIT)
    )


@dataclass(frozen=True, slots=True)
class Row:
    """The pictures of one frame."""

    pictures: list[Picture]
    """Image, depth and labels, of one size."""
    has_truth: bool


class ContactSheet:
    """Collects pictures of the frames in `keys`."""

    def __init__(self, plan: Plan, depth_range: tuple[float, float], keys: frozenset[str]) -> None:
        self.keys = keys
        self._plan = plan
        self._depth_range = depth_range
        self.rows: dict[str, Row] = {}

    def add(self, frame: Encoded) -> None:
        """Draw a frame, if it was encoded with its arrays."""
        if frame.arrays is None:
            return
        image, depth, truth = frame.arrays
        metres = depth.astype(np.float32) / self._plan.depth_scale
        low, high = self._depth_range
        pictures = [image, colour_depth(metres, low, high), self._classes(depth.shape, truth)]
        titles = (f"{frame.entry.split} {frame.entry.key}", f"depth to {high:g} m", "labels")
        drawn = [labelled(_small(p), t) for p, t in zip(pictures, titles, strict=True)]
        self.rows[frame.entry.key] = Row(drawn, truth is not None)

    def picture(self) -> Picture:
        """The sheet, uint8 (H, W, 3) RGB; without a column of labels if no frame has them."""
        columns = 3 if any(row.has_truth for row in self.rows.values()) else 2
        return grid([row.pictures[:columns] for row in self.rows.values()])

    def write(self, path: Path) -> None:
        """Write the sheet as PNG."""
        with whole_file(path) as aside:
            aside.write_bytes(encode_png(self.picture()))

    def _classes(self, shape: tuple[int, ...], truth: NDArray[Any] | None) -> Picture:
        if truth is None:
            return np.full((*shape, 3), 235, np.uint8)
        return colour_classes(label_space(self._plan.label_space).from_truth[truth])


def _small(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    size = (_WIDTH_PX, max(1, round(height * _WIDTH_PX / width)))
    # Nearest: sparse depth and classes must not fade into each other.
    small: Picture = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
    return small
