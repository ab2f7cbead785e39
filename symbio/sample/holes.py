"""What a Kinect fails to measure: the holes of NYU's raw depth.

The sensor projects a pattern from beside its infrared camera. It fails where an edge shadows the
pattern, on dark, shiny or grazing surfaces, towards the far end of its range, and outside the
area that both cameras share; sunlight on a window saturates it at exactly 10 m.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from symbio.sample import ade
from symbio.sample.geometry import Float, Intrinsics
from symbio.sample.trace import Rendered

SATURATED_M = 10.0
BORDER = (slice(7, 474), slice(7, 632))
"""Rows and columns of a 480 x 640 frame that show the scene; around them it is white."""

_PROJECTOR_M = 0.075
_SHARED = (slice(40, 474), slice(34, 610))
"""Rows and columns where depth and colour camera overlap."""


def millimetres(depth_m: Float) -> NDArray[np.uint16]:
    """Depth (H, W) in metres to whole millimetres."""
    return np.rint(depth_m.astype(np.float64) * 1000).astype(np.uint16)


def metres(depth_mm: NDArray[np.uint16]) -> Float:
    """Whole millimetres to float32 metres, as the official file stores them."""
    return (depth_mm / 1000).astype(np.float32)


def framed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A 480 x 640 image with the data set's white border."""
    out = np.full_like(image, 255)
    out[BORDER] = image[BORDER]
    return out


def raw_depth(frame: Rendered, rng: np.random.Generator) -> Float:
    """The depth (480, 640) that a Kinect would have measured, metres; 0 where it fails."""
    depth = frame.depth.copy()
    failed = shadowed(depth, frame.intrinsics) | _unreturned(frame, rng)
    saturated = (frame.semantic == ade.WINDOW) & (_patches(rng, depth.shape, 22) > 0.8)
    depth[failed] = 0
    depth[saturated] = SATURATED_M
    shared = np.zeros(depth.shape, bool)
    shared[_SHARED] = True
    wobble = cv2.GaussianBlur(_patches(rng, depth.shape, 9), (0, 0), 3) > 0.5
    edge = cv2.erode(shared.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    depth[~shared | (edge & wobble)] = 0
    return metres(millimetres(depth))


def shadowed(depth: Float, intrinsics: Intrinsics) -> NDArray[np.bool_]:
    """Pixels (H, W) that the projector, to the camera's left, cannot see.

    From there a pixel at depth z appears shifted by f * baseline / z to the right; it is hidden
    where some pixel to its left has been shifted beyond it.
    """
    columns = np.arange(depth.shape[1], dtype=np.float32)
    seen_at = columns + np.float32(intrinsics.fx * _PROJECTOR_M) / depth
    furthest = np.maximum.accumulate(seen_at, axis=1)
    return np.asarray(seen_at < furthest - np.float32(0.5))


def _unreturned(frame: Rendered, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Patches of dark, shiny, grazing or far surfaces, and single drop-outs."""
    depth = frame.depth
    light = frame.image.max(axis=2).astype(np.float32) / 255
    across, down = cv2.Sobel(depth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(depth, cv2.CV_32F, 0, 1) / 8
    slope = np.hypot(across, down) * np.float32(frame.intrinsics.fx) / depth
    risk = np.clip((0.2 - light) * 2.2, 0, 0.5) + np.clip((slope - 2.2) * 0.14, 0, 0.5)
    risk += np.clip((depth - 4.5) * 0.045, 0, 0.15)
    for label, share in ((ade.TV, 0.5), (ade.WINDOW, 0.36), (ade.LAMP, 0.3)):
        risk[frame.semantic == label] += np.float32(share)
    patch = _patches(rng, depth.shape, 14)
    dropped = rng.random(depth.shape, dtype=np.float32) < 0.004
    dropped = cv2.dilate(dropped.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    return np.asarray((patch < risk) | dropped)


def _patches(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> Float:
    """Smooth noise (H, W), uniform in 0..1, with lumps of about `size` pixels."""
    coarse = rng.standard_normal((shape[0] // size + 3, shape[1] // size + 3), dtype=np.float32)
    lumps = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    # A logistic curve of this slope is close to the normal distribution's own.
    return np.asarray(1 / (1 + np.exp(np.float32(-2.2) * lumps)), np.float32)
