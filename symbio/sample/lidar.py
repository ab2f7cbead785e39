"""What a Velodyne HDL-64E on the roof sees, and the depth maps that KITTI makes of it.

64 beams between +2 and -24.8 degrees turn about the upright axis: one scan gives rows of points.
The annotated depth of a frame joins eleven scans, which thickens each row to a band.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from symbio.sample.geometry import Float, Intrinsics
from symbio.sample.trace import Rendered

MAX_M = 80.0
"""Nothing further than this is annotated."""
SCALE = 256
"""Units of the stored depth in a metre."""

BEAM_DEG = np.concatenate([2.0 - np.arange(32) / 3.0, -8.83 - np.arange(32) * 0.5])
"""Elevation of the 64 beams (HDL-64E: a dense upper and a sparser lower block)."""

_COLUMN_STEP_PX = 2.2
_SCANS = 11
_KEPT = 0.42


def annotated(
    frame: Rendered, rng: np.random.Generator
) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Depth map as KITTI stores it and which of its pixels are of the frame's own scan.

    Returns:
        uint16 (H, W) with round(256 * metres), 0 = no measurement, and bool (H, W).
    """
    seen = np.isfinite(frame.depth) & (frame.depth < MAX_M - 0.5) & _returned(frame, rng)
    own = np.zeros(seen.shape, bool)
    joined = np.zeros(seen.shape, bool)
    for scan, shift in enumerate([0.0, *np.linspace(-1.2, 1.2, _SCANS - 1)]):
        hits = _scan(frame.intrinsics, seen.shape, shift, rng)
        # KITTI drops a joined point that stereo contradicts: fewer survive than were measured.
        hits &= rng.random(seen.shape, dtype=np.float32) < (1.0 if scan == 0 else _KEPT)
        own |= hits if scan == 0 else False
        joined |= hits
    joined[: -(-seen.shape[0] // 3)] = False
    stored = np.where(
        joined & seen, np.rint(np.where(seen, frame.depth, 0).astype(np.float64) * SCALE), 0
    )
    return stored.astype(np.uint16), own & seen & joined


def beam_rows(intrinsics: Intrinsics, columns: Float) -> Float:
    """Row (64, W) at which each beam crosses each column of a level camera's picture."""
    x = (columns - intrinsics.cx) / intrinsics.fx
    tangent = np.tan(np.radians(BEAM_DEG))[:, None]
    return np.asarray(intrinsics.cy - intrinsics.fy * tangent * np.hypot(1, x)[None], np.float32)


def _scan(
    intrinsics: Intrinsics, shape: tuple[int, ...], shift: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    height, width = shape
    columns = np.arange(
        rng.uniform(0, _COLUMN_STEP_PX), width - 1, _COLUMN_STEP_PX, dtype=np.float32
    )
    rows = np.rint(beam_rows(intrinsics, columns) + np.float32(shift)).astype(np.int64)
    at = np.broadcast_to(np.rint(columns).astype(np.int64), rows.shape)
    inside = (rows >= 0) & (rows < height)
    hits = np.zeros(shape, bool)
    hits[rows[inside], at[inside]] = True
    return hits


def _returned(frame: Rendered, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where a beam comes back: less often from far away, from dark glass, and beside edges."""
    near = np.where(np.isfinite(frame.depth), frame.depth, np.float32(MAX_M))
    light = frame.image.max(axis=2).astype(np.float32) / 255
    lost = np.clip((near - 25) / 110, 0, 0.5) + np.clip((0.16 - light) * 3, 0, 0.4)
    lowest = cv2.erode(near, np.ones((3, 3), np.uint8))
    # Joined scans disagree at edges: KITTI's maps are thin there.
    lost = np.where(near - lowest > 0.08 * near, np.float32(0.75), lost)
    return np.asarray(rng.random(near.shape, dtype=np.float32) >= lost)
