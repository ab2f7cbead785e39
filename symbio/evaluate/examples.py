"""Frames as they are scored: the network's view of the image, and the truth at full size."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.classes import LabelSpace
from symbio.data.dataset import load_frame, load_pseudo
from symbio.data.resize import resize_rgb
from symbio.data.shards import Shards
from symbio.data.view import view_box
from symbio.errors import SymbioError
from symbio.evaluate.protocol import Box, Protocol

_LOADERS = 2


@dataclass(frozen=True, slots=True)
class Example:
    """One frame. The network sees `image`; what it predicts is compared with the rest."""

    key: str
    picture: NDArray[np.uint8]
    """(H, W, 3) RGB, the stored frame."""
    view: Box
    """The part of the frame that the network sees, pixels."""
    image: Tensor
    """uint8 (3, h, w): the view, at the network's size."""
    depth_m: Tensor
    """float32 (H, W), metres; 0 = no measurement."""
    truth: Tensor | None
    """uint8 (H, W) in the scoring label space, 255 = ignore; None where there is no truth."""
    pseudo: Tensor | None
    """uint8 (H, W), class of the teacher in the space that the network predicts, 255 = ignore;
    None without pseudo-labels."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the frames of an evaluation come from."""

    prepared: Shards
    pseudo: Shards | None
    space: LabelSpace
    image_size: tuple[int, int]
    """Height and width (pixels) at which the network sees frames."""

    def load(self, key: str) -> Example:
        """Decode one frame.

        Raises:
            SymbioError: a member is missing or broken, or sizes do not agree.
        """
        frame = load_frame(self.prepared, key)
        height, width = frame.depth.shape
        view = Box(*view_box(self.prepared.header["dataset"], height, width))
        seen = frame.image[view.top : view.bottom, view.left : view.right]
        image = resize_rgb(seen, self.image_size).transpose(2, 0, 1)
        truth = None if frame.truth is None else self.space.from_truth[frame.truth]
        pseudo = None
        if self.pseudo is not None:
            pseudo = self.space.predicted.from_ade20k[load_pseudo(self.pseudo, key)[0]]
        for what, labels in (("image", frame.image), ("truth", truth), ("pseudo-label", pseudo)):
            if labels is not None and labels.shape[:2] != (height, width):
                raise SymbioError(
                    f"{self.prepared.folder}: frame {key}: {what} is {labels.shape[:2]}, "
                    f"depth is {(height, width)}; prepare and label the data set again"
                )
        return Example(
            key,
            frame.image,
            view,
            torch.from_numpy(np.ascontiguousarray(image)),
            torch.from_numpy(frame.depth_m),
            None if truth is None else torch.from_numpy(truth),
            None if pseudo is None else torch.from_numpy(pseudo),
        )

    def batches(self, groups: list[list[str]]) -> Iterator[list[Example]]:
        """The frames of `groups`, a group at a time.

        The next batch is decoded while the caller works on this one.
        """
        with ThreadPoolExecutor(_LOADERS) as pool:
            waiting = None
            for group in groups:
                loading = [pool.submit(self.load, key) for key in group]
                if waiting is not None:
                    yield [future.result() for future in waiting]
                waiting = loading
            if waiting is not None:
                yield [future.result() for future in waiting]

    def groups(self, keys: list[str], size: int) -> list[list[str]]:
        """The keys of each batch: every key once, `size` or fewer frames of one shape."""
        by_shape: dict[tuple[int, int], list[str]] = {}
        for key in keys:
            info = self.prepared.info(key)
            by_shape.setdefault((info["height"], info["width"]), []).append(key)
        return [
            same[start : start + size]
            for same in by_shape.values()
            for start in range(0, len(same), size)
        ]


def scored_box(protocol: Protocol, dataset: str, height: int, width: int) -> Box:
    """Pixels of a frame that the protocol counts and the network predicts.

    KITTI's networks see the benchmark crop, which holds every crop of the KITTI protocols; under
    the protocol `none` the pixels outside it have no prediction and cannot be scored.
    """
    view = Box(*view_box(dataset, height, width))
    return protocol.box(height, width).intersect(view)
