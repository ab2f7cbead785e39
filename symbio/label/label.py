"""Label frames: decode, ask the teacher in batches of equal size, measure and encode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.classes import IGNORE, label_space
from symbio.data.dataset import Frame, load_frame
from symbio.data.images import encode_png
from symbio.data.shards import Shards
from symbio.label.chunks import Labelled
from symbio.label.measure import depth_edges_m, is_kept, measure
from symbio.label.predict import predict
from symbio.label.teacher import Teacher
from symbio.label.written import Written
from symbio.params import TeacherParams

FLIP_CHECK_EVERY = 8
"""Every 8th frame of a chunk is also labelled mirrored, to measure how far the two agree."""
_THREADS = 4
"""Frames measured and encoded at once."""

_Found = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8] | None]
"""Class, confidence, and class of the mirror image mirrored back, where it was looked at."""


def label_frames(
    teacher: Teacher | Written, params: TeacherParams, prepared: Shards, keys: Sequence[str]
) -> Iterator[list[Labelled]]:
    """Label the frames of a chunk, a batch at a time; frames of a batch are of one size.

    Args:
        teacher: loaded, or labels written elsewhere.
        params: batch, min_confidence, flip_average, image_size.
        prepared: the frames.
        keys: of the chunk; batches are cut from these alone, so the same keys give the same labels.

    Yields:
        Batches, those of one size after those of another: not in the order of the keys.
    """
    frames = [load_frame(prepared, key) for key in keys]
    checked = {frame.key for frame in frames[::FLIP_CHECK_EVERY]}
    with ThreadPoolExecutor(_THREADS) as pool:
        before: list[Future[Labelled]] = []
        for batch in _batches(frames, params.batch):
            found = _found(teacher, params, batch, checked)
            after = [
                pool.submit(_labelled, frame, *one, params, prepared)
                for frame, one in zip(batch, found, strict=True)
            ]
            # A batch is measured and encoded while the teacher looks at the next one.
            if before:
                yield [one.result() for one in before]
            before = after
        yield [one.result() for one in before]


def _batches(frames: list[Frame], size: int) -> Iterator[list[Frame]]:
    # A stable sort: frames of one size stay in their order.
    for _, same in groupby(sorted(frames, key=_size), key=_size):
        own = list(same)
        for start in range(0, len(own), size):
            yield own[start : start + size]


def _size(frame: Frame) -> tuple[int, int]:
    return frame.image.shape[0], frame.image.shape[1]


def _found(
    teacher: Teacher | Written, params: TeacherParams, batch: list[Frame], checked: set[str]
) -> Iterator[_Found]:
    if isinstance(teacher, Written):
        for frame in batch:
            yield *teacher.label_of(frame.key, _size(frame)), None
        return
    image = torch.from_numpy(np.stack([frame.image for frame in batch])).permute(0, 3, 1, 2)
    labels, confidences = predict(teacher, image, params.flip_average, params.image_size)
    for row, frame in enumerate(batch):
        mirrored = None
        if frame.key in checked:
            flipped = image[row : row + 1].flip(-1)
            label, _ = predict(teacher, flipped, False, params.image_size)
            mirrored = label[0].flip(-1).numpy()
        yield labels[row].numpy(), confidences[row].numpy(), mirrored


def _labelled(
    frame: Frame,
    label: NDArray[np.uint8],
    confidence: NDArray[np.uint8],
    mirrored: NDArray[np.uint8] | None,
    params: TeacherParams,
    prepared: Shards,
) -> Labelled:
    space = label_space(prepared.header["label_space"])
    edges_m = depth_edges_m(prepared.header)
    low = params.min_confidence
    counts = measure(label, confidence, low, frame.truth, space, frame.depth_m, edges_m, mirrored)
    stored = np.where(is_kept(confidence, low), label, np.uint8(IGNORE))
    height, width = label.shape
    return Labelled(frame.key, encode_png(stored), encode_png(confidence), (height, width), counts)
