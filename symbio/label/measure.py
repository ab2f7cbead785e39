"""What one frame says about the quality of its pseudo-label: counts that add up over frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import IGNORE, NUM_CLASSES, LabelSpace

Counts = NDArray[np.int64]

DEPTH_EDGES_M = {
    "nyu": (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0),
    "kitti": (0.0, 10.0, 20.0, 30.0, 50.0, 80.0),
}
"""Bounds of the depth ranges, metres; what is farther belongs to no range."""
_RANGES = 5


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts of pixels. Confidence levels are the stored 0..255."""

    confidence: Counts
    """(256,) pixels at each confidence."""
    labelled: Counts
    """(256,) those that have truth."""
    correct: Counts
    """(256,) those where the teacher's class is the truth."""
    confusion: Counts
    """(C, C + 1) truth by prediction in the scoring space; the last column is no counterpart."""
    depth: Counts
    """(ranges, 4): pixels measured there, kept, with truth, correct."""
    classes: Counts
    """(150, 2): pixels of each ADE20K class before and after `min_confidence`."""
    flip: Counts
    """(2,): pixels compared with the mirror image's label, and those that agree."""

    def __add__(self, other: Measures) -> Measures:
        return Measures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def depth_edges_m(header: Mapping[str, Any]) -> tuple[float, ...]:
    """Bounds of the depth ranges of a prepared set: its own, or five as wide as each other."""
    known = DEPTH_EDGES_M.get(header["dataset"])
    if known is not None:
        return known
    far = float(header["range_m"][1])
    return tuple(far * place / _RANGES for place in range(_RANGES + 1))


def no_measures(num_classes: int, num_ranges: int) -> Measures:
    """All counts zero."""

    def zeros(*shape: int) -> Counts:
        return np.zeros(shape, dtype=np.int64)

    return Measures(
        zeros(256),
        zeros(256),
        zeros(256),
        zeros(num_classes, num_classes + 1),
        zeros(num_ranges, 4),
        zeros(NUM_CLASSES, 2),
        zeros(2),
    )


def measure(
    label: NDArray[np.uint8],
    confidence: NDArray[np.uint8],
    min_confidence: float,
    truth: NDArray[np.integer] | None,
    space: LabelSpace,
    depth_m: NDArray[np.float32],
    edges_m: tuple[float, ...],
    mirrored: NDArray[np.uint8] | None,
) -> Measures:
    """Count one frame.

    Args:
        label: (H, W) ADE20K class before the threshold; 255 where labels written elsewhere have
            none.
        confidence: (H, W) 0..255.
        min_confidence: 0..1; what is below is ignored in training.
        truth: (H, W) ids of the data set's label space, or None.
        space: the label space's maps to the scoring space.
        depth_m: (H, W) metres, 0 = no measurement.
        edges_m: bounds of the depth ranges, rising.
        mirrored: (H, W) label of the mirror image, mirrored back, or None.
    """
    named = label != IGNORE
    kept = named & is_kept(confidence, min_confidence)
    nothing = np.full(label.shape, IGNORE, np.uint8)
    scored = nothing if truth is None else space.from_truth[truth]
    found = space.from_ade20k[label]
    known = scored != IGNORE
    right = known & (scored == found)
    num_classes = len(space.names)
    columns = np.minimum(found[known], num_classes)
    pairs = scored[known].astype(np.int64) * (num_classes + 1) + columns
    confusion = np.bincount(pairs, minlength=num_classes * (num_classes + 1))
    flip = [0, 0] if mirrored is None else [label.size, int((label == mirrored).sum())]
    return Measures(
        np.bincount(confidence.ravel(), minlength=256),
        np.bincount(confidence[known], minlength=256),
        np.bincount(confidence[right], minlength=256),
        confusion.reshape(num_classes, num_classes + 1),
        _by_depth(depth_m, edges_m, (kept, known, right)),
        np.stack(
            [np.bincount(part, minlength=NUM_CLASSES) for part in (label[named], label[kept])], 1
        ),
        np.array(flip, dtype=np.int64),
    )


def is_kept(confidence: NDArray[np.uint8], min_confidence: float) -> NDArray[np.bool_]:
    """Where the stored confidence reaches the threshold: the one rule for what becomes 255."""
    return np.greater_equal(confidence, np.ceil(255 * min_confidence - 1e-6))


def _by_depth(
    depth_m: NDArray[np.float32], edges_m: tuple[float, ...], marks: tuple[NDArray[np.bool_], ...]
) -> Counts:
    measured = depth_m > 0
    # Ranges are half-open at the near side: (low, high].
    place = np.searchsorted(np.asarray(edges_m, np.float32), depth_m, side="left") - 1
    ranges = len(edges_m) - 1
    inside = measured & (place >= 0) & (place < ranges)
    columns = [np.bincount(place[inside], minlength=ranges)]
    columns += [np.bincount(place[inside & mark], minlength=ranges) for mark in marks]
    return np.stack(columns, axis=1)
