"""Frames of a prepared data set, decoded: at full size, or as the network sees them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.classes import IGNORE
from symbio.data.frame import Batch
from symbio.data.images import (
    decode_depth,
    decode_labels,
    decode_rgb,
    resize_depth,
    resize_labels,
    resize_rgb,
)
from symbio.data.shards import Shards
from symbio.data.view import view_box
from symbio.errors import SymbioError

CACHE_BYTES = 2**30

Label = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Pseudo-label at full size: ADE20K class, 255 = ignore, and confidence, uint8 (H, W) each."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One stored frame."""

    key: str
    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    depth: NDArray[np.uint16]
    """(H, W) in units of 1 / `depth_scale` metres; 0 = no measurement."""
    depth_scale: float
    truth: NDArray[np.uint8] | NDArray[np.uint16] | None
    """(H, W) ids of the data set's own label space, where the frame has them."""

    @property
    def depth_m(self) -> NDArray[np.float32]:
        """(H, W) metres; 0 = no measurement."""
        return self.depth.astype(np.float32) / np.float32(self.depth_scale)


def load_frame(prepared: Shards, key: str) -> Frame:
    """Decode one frame at full size.

    Raises:
        SymbioError: a member is missing or broken; the message names shard folder and key.
    """
    members = prepared.read(key)
    where = f"{prepared.folder}: frame {key}"
    image = members.get("image.png") or members.get("image.jpg")
    if image is None or "depth.png" not in members:
        raise SymbioError(f"{where}: has members {sorted(members)}, expected image and depth.png")
    truth = members.get("truth.png")
    return Frame(
        key,
        decode_rgb(image, f"{where}.image"),
        decode_depth(members["depth.png"], f"{where}.depth.png"),
        float(prepared.header["depth_scale"]),
        None if truth is None else decode_labels(truth, f"{where}.truth.png"),
    )


def load_pseudo(pseudo: Shards, key: str) -> Label:
    """Pseudo-label of one frame at full size.

    Raises:
        SymbioError: the frame has no pseudo-label, or it is broken.
    """
    members = pseudo.read(key)
    where = f"{pseudo.folder}: frame {key}"
    label = decode_labels(members["class.png"], f"{where}.class.png")
    confidence = decode_labels(members["confidence.png"], f"{where}.confidence.png")
    return label.astype(np.uint8), confidence.astype(np.uint8)


class FrameDataset:
    """Frames of one split as the network sees them: cropped to its view and resized.

    Decoded frames are kept in memory up to a bound, so that small sets are decoded once.
    """

    def __init__(
        self,
        prepared: Shards,
        label_of: Callable[[str], Label | None] | None,
        split: str,
        image_size: tuple[int, int],
        depth_range: tuple[float, float],
    ) -> None:
        """Nothing is read yet.

        Args:
            prepared: the frames.
            label_of: a frame's key -> its label; None: it has none, or no frame has.
            split: of `prepared`.
            image_size: (H, W) in pixels of the frames as the network sees them.
            depth_range: depth outside (metres) counts as no measurement.

        Raises:
            SymbioError: the split is empty.
        """
        self.prepared = prepared
        self.label_of = label_of
        self.keys = prepared.splits.get(split, [])
        self.image_size = image_size
        self.depth_range = depth_range
        self.dataset: str = prepared.header["dataset"]
        self._cache: OrderedDict[str, Batch] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()
        if not self.keys:
            raise SymbioError(f"{prepared.folder}: split {split!r} has no frames")

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Batch:
        """Frame `index` as a batch of one, on the CPU."""
        key = self.keys[index]
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        batch = self._load(key)
        size = sum(t.nbytes for t in (batch.image, batch.depth, batch.semantic, batch.confidence))
        with self._lock:
            if key not in self._cache:
                self._cache[key] = batch
                self._cached_bytes += size
            while self._cached_bytes > CACHE_BYTES:
                _, old = self._cache.popitem(last=False)
                self._cached_bytes -= sum(
                    t.nbytes for t in (old.image, old.depth, old.semantic, old.confidence)
                )
        return batch

    def _load(self, key: str) -> Batch:
        frame = load_frame(self.prepared, key)
        height, width = frame.depth.shape
        top, bottom, left, right = view_box(self.dataset, height, width)
        rows, columns = slice(top, bottom), slice(left, right)
        image = resize_rgb(frame.image[rows, columns], self.image_size)
        units = resize_depth(frame.depth[rows, columns], self.image_size)
        depth = torch.from_numpy(units.astype(np.float32)) / frame.depth_scale
        low, high = self.depth_range
        depth = torch.where((depth > low) & (depth < high), depth, 0.0)
        known = None if self.label_of is None else self.label_of(key)
        if known is None:
            label = np.full(self.image_size, IGNORE, np.uint8)
            confidence = np.zeros(self.image_size, np.uint8)
        else:
            label, confidence = known
            label = resize_labels(label[rows, columns], self.image_size)
            confidence = resize_labels(confidence[rows, columns], self.image_size)
        return Batch(
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None],
            depth[None],
            torch.from_numpy(np.ascontiguousarray(label))[None],
            torch.from_numpy(np.ascontiguousarray(confidence))[None],
            (key,),
        )
