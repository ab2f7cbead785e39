"""Coloured point clouds: a pinhole camera and the PLY format (Turk, 1994)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError

FOCAL_OF_WIDTH = {"nyu": 518.8579 / 640, "kitti": 721.5377 / 1242}
"""Focal length over image width of the data sets' colour cameras (their published calibration)."""

_VERTEX = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])


def focal_of_width(card: Mapping[str, Any]) -> float | None:
    """Focal length over width of the camera whose pictures a model was trained on, if known."""
    own: float | None = card.get("focal_of_width")
    return FOCAL_OF_WIDTH.get(str(card.get("dataset"))) if own is None else own


def focal_length(card: dict[str, Any], width: int, given: float | None) -> float:
    """Focal length in pixels for an image of `width` pixels.

    The user's own where given. Else that of the camera whose pictures the model was trained on,
    scaled to the width: shapes are right for pictures with that field of view only.

    Raises:
        SymbioError: it is not positive, or the model's camera is unknown.
    """
    if given is not None:
        if not 0.0 < given < float("inf"):
            raise SymbioError(f"--focal {given}: must be a positive number of pixels")
        return given
    ratio = focal_of_width(card)
    if ratio is None:
        raise SymbioError("--ply: the model's camera is unknown; give --focal in pixels")
    return ratio * width


def write_ply(
    path: Path, image: NDArray[np.uint8], depth_m: NDArray[np.float32], focal_px: float
) -> int:
    """Write `ply_of` to the file `path`; returns the number of points."""
    data, num_points = ply_of(image, depth_m, focal_px)
    path.write_bytes(data)
    return num_points


def ply_of(
    image: NDArray[np.uint8], depth_m: NDArray[np.float32], focal_px: float
) -> tuple[bytes, int]:
    """One point a pixel as a PLY file's bytes, binary little-endian; and the number of points.

    Camera coordinates in metres: x right, y down, z forward; the principal point is the image's
    centre. Pixels whose depth is not positive and finite are left out.

    Args:
        image: uint8 (H, W, 3), RGB.
        depth_m: (H, W), metres along the optical axis.
        focal_px: focal length, pixels.
    """
    height, width = depth_m.shape
    # Pixel centres lie at half-integers from the upper left corner.
    right = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / np.float32(focal_px)
    down = (np.arange(height, dtype=np.float32) + 0.5 - height / 2) / np.float32(focal_px)
    seen = np.isfinite(depth_m) & (depth_m > 0)
    points = np.empty(int(seen.sum()), _VERTEX)
    rows, columns = np.nonzero(seen)
    forward = depth_m[seen]
    points["xyz"] = np.stack([right[columns] * forward, down[rows] * forward, forward], axis=1)
    points["rgb"] = image[seen]
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        "comment camera coordinates in metres: x right, y down, z forward\n"
        f"comment focal length {focal_px:.3f} pixels, image {width} x {height}\n"
        f"element vertex {len(points)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    return header.encode("ascii") + points.tobytes(), len(points)
