"""Frames of a prepared data set, decoded: at full size, or as the network sees them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import IGNORE
from symbio.data.codec import Window
from symbio.data.host import HostBatch
from symbio.data.images import decode_depth, decode_labels, decode_planes, decode_rgb, interleaved
from symbio.data.members import member
from symbio.data.resize import resize_depth, resize_labels, resize_rgb
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
    image, depth = _image_and_depth(members, where)
    truth = member(members, "truth")
    return Frame(
        key,
        decode_rgb(image, f"{where}.image"),
        decode_depth(depth, f"{where}.depth"),
        float(prepared.header["depth_scale"]),
        None if truth is None else decode_labels(truth, f"{where}.truth"),
    )


def load_pseudo(pseudo: Shards, key: str) -> Label:
    """Pseudo-label of one frame at full size.

    Raises:
        SymbioError: the frame has no pseudo-label, or it is broken.
    """
    members = pseudo.read(key)
    where = f"{pseudo.folder}: frame {key}"
    stored = member(members, "class"), member(members, "confidence")
    if stored[0] is None or stored[1] is None:
        raise SymbioError(f"{where}: has members {sorted(members)}, expected class and confidence")
    label = decode_labels(stored[0], f"{where}.class")
    confidence = decode_labels(stored[1], f"{where}.confidence")
    return label.astype(np.uint8), confidence.astype(np.uint8)


def _image_and_depth(members: dict[str, bytes], where: str) -> tuple[bytes, bytes]:
    image, depth = member(members, "image"), member(members, "depth")
    if image is None or depth is None:
        raise SymbioError(f"{where}: has members {sorted(members)}, expected image and depth")
    return image, depth


class FrameDataset:
    """Frames of one split as the network sees them: cropped to its view and resized.

    A split that fits into `keep_bytes` is decoded once and kept. Of a larger one only the
    windows that are asked for are decoded, where nothing has to be resized, and none is kept:
    an epoch would have pushed them out before they came again.
    """

    def __init__(
        self,
        prepared: Shards,
        label_of: Callable[[str], Label | None] | None,
        split: str,
        image_size: tuple[int, int],
        keep_bytes: int = CACHE_BYTES,
    ) -> None:
        """Nothing is read yet.

        Args:
            prepared: the frames.
            label_of: a frame's key -> its label; None: it has none, or no frame has.
            split: of `prepared`.
            image_size: (H, W) in pixels of the frames as the network sees them.
            keep_bytes: memory that decoded frames may take.

        Raises:
            SymbioError: the split is empty.
        """
        self.prepared = prepared
        self.label_of = label_of
        self.keys = prepared.splits.get(split, [])
        self.image_size = image_size
        self.depth_scale = float(prepared.header["depth_scale"])
        self.dataset: str = prepared.header["dataset"]
        if not self.keys:
            raise SymbioError(f"{prepared.folder}: split {split!r} has no frames")
        bytes_of_all = len(self.keys) * HostBatch.bytes_of(1, image_size)
        self._kept: dict[int, HostBatch] | None = {} if bytes_of_all <= keep_bytes else None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.keys)

    def read(self, index: int, window: Window, into: HostBatch, row: int) -> None:
        """Put a window of frame `index`, pixels as the network sees it, into a row of `into`.

        Raises:
            SymbioError: the frame or its label is missing or broken.
        """
        if self._kept is None:
            self._load(index, window, into, row)
            return
        with self._lock:
            whole = self._kept.get(index)
        if whole is None:
            whole = HostBatch.empty(1, self.image_size)
            self._load(index, (0, self.image_size[0], 0, self.image_size[1]), whole, 0)
            with self._lock:
                self._kept[index] = whole
        into.copy_window(row, whole, window)

    def _load(self, index: int, window: Window, into: HostBatch, row: int) -> None:
        key = self.keys[index]
        info = self.prepared.info(key)
        box = view_box(self.dataset, info["height"], info["width"])
        image, depth = self._pixels(key, box, window)
        into.put_pixels(row, image, depth)
        known = None if self.label_of is None else self.label_of(key)
        if known is None:
            into.put_label(row, IGNORE, 0)
        else:
            seen = (resize_labels(_cut(field, box), self.image_size) for field in known)
            into.put_label(row, *(_cut(field, window) for field in seen))
        into.keys[row] = key

    def _pixels(
        self, key: str, box: Window, window: Window
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """(3, h, w) and (h, w): a window of the view `box`, brought to `image_size`."""
        where = f"{self.prepared.folder}: frame {key}"
        image, depth = _image_and_depth(self.prepared.read(key), where)
        as_stored = (box[1] - box[0], box[3] - box[2]) == self.image_size
        if as_stored:
            top, bottom, left, right = window
            box = (box[0] + top, box[0] + bottom, box[2] + left, box[2] + right)
        planes = decode_planes(image, f"{where}.image", box)
        units = decode_depth(depth, f"{where}.depth", box)
        if as_stored:
            return planes, units
        pixels = _cut(resize_rgb(interleaved(planes), self.image_size), window)
        return pixels.transpose(2, 0, 1), _cut(resize_depth(units, self.image_size), window)


def _cut(field: NDArray[Any], window: Window) -> NDArray[Any]:
    top, bottom, left, right = window
    return field[top:bottom, left:right]
