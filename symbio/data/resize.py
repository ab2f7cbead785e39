"""Pictures, depth and labels at another size, each by the rule that keeps its values true."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

cv2.setNumThreads(1)


def resize_rgb(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) to `size` (height, width): area when shrinking, bilinear when growing."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: NDArray[np.uint8] = cv2.resize(image, (size[1], size[0]), interpolation=method)
    return resized


def resize_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) of any integer type to `size` by the nearest pixel: no class is invented."""
    rows, columns = _nearest(labels.shape[0], size[0]), _nearest(labels.shape[1], size[1])
    return labels if labels.shape == size else labels[rows[:, None], columns[None, :]]


def resize_depth(depth: NDArray[np.uint16], size: tuple[int, int]) -> NDArray[np.uint16]:
    """Sparse or dense depth (H, W) to `size`, never mixing two measurements.

    A cell of the smaller map takes the measurement nearest to the camera among the pixels that
    fall into it (what is in front hides what is behind); 0 where it holds none. Growing takes
    the nearest pixel.
    """
    height, width = depth.shape
    if (height, width) == size:
        return depth
    if size[0] > height or size[1] > width:
        rows, columns = _nearest(height, size[0]), _nearest(width, size[1])
        return depth[rows[:, None], columns[None, :]]
    # 0 becomes the largest value (0 - 1 wraps round), so that a minimum passes over holes.
    shifted = depth - np.uint16(1)
    row_starts = np.arange(size[0]) * height // size[0]
    column_starts = np.arange(size[1]) * width // size[1]
    nearest = np.minimum.reduceat(shifted, row_starts, axis=0)
    nearest = np.minimum.reduceat(nearest, column_starts, axis=1)
    return nearest + np.uint16(1)


def _nearest(source: int, target: int) -> NDArray[np.int64]:
    """Index of the source pixel under the centre of each target pixel."""
    return (np.arange(target) * 2 + 1) * source // (2 * target)
