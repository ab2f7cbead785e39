"""Depth from a laser scan of KITTI, for frames that have no annotated depth map.

A point of the scan (x ahead, y left, z up, metres) is seen at
P_rect_<camera> R_rect_00 [R T] [x y z 1]', where [R T] is calib_velo_to_cam.txt and the others are
in calib_cam_to_cam.txt (Geiger et al., "Vision meets Robotics: The KITTI Dataset", 2013, section
VI). The third of the three numbers is the depth, by which the other two are divided.

One scan is sparser than an annotated map, which is made of eleven, and holds points that the
camera does not see past the edge of something near: good enough to learn from, not to score with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError
from symbio.prepare.files import read_bytes
from symbio.prepare.kitti_extras import CAMERAS, read_matrix

UNITS_PER_METRE = 256
SCANNER = "calib_velo_to_cam.txt"

Matrix = NDArray[np.float64]


def read_projection(folder: Path, camera: str) -> Matrix:
    """(3, 4): scanner's axes (metres) to a camera's pixels times depth, of a date's folder.

    Raises:
        SymbioError: a calibration file is missing or garbled.
    """
    pose = np.eye(4)
    pose[:3, :3] = read_matrix(folder / SCANNER, "R", 3, 3)
    pose[:3, 3:] = read_matrix(folder / SCANNER, "T", 3, 1)
    turn = np.eye(4)
    turn[:3, :3] = read_matrix(folder / CAMERAS, "R_rect_00", 3, 3)
    projection: Matrix = read_matrix(folder / CAMERAS, f"P_rect_{camera}", 3, 4) @ turn @ pose
    return projection


def read_scan(path: Path) -> NDArray[np.float32]:
    """Points (N, 3), metres, of a scan: little-endian float32 x y z reflectance each.

    Raises:
        SymbioError: the file is missing, empty, cut off, or holds numbers that are not finite.
    """
    data = read_bytes(path)
    if not data or len(data) % 16:
        raise SymbioError(f"{path}: has {len(data)} bytes, expected points of 16 bytes each")
    points = np.frombuffer(data, "<f4").reshape(-1, 4)[:, :3]
    if not np.isfinite(points).all():
        raise SymbioError(f"{path}: holds coordinates that are not finite")
    return points


def project(
    points: NDArray[np.float32], projection: Matrix, size: tuple[int, int]
) -> NDArray[np.uint16]:
    """Depth map that a scan gives.

    Args:
        points: (N, 3), metres, in the scanner's axes.
        projection: (3, 4), see `read_projection`.
        size: height and width of the camera's image, pixels; whole numbers are pixel centres.

    Returns:
        uint16 (H, W), 1/256 m; the nearest return of each pixel, 0 where there is none.
    """
    height, width = size
    seen = points.astype(np.float64) @ projection[:, :3].T + projection[:, 3]
    depth = seen[:, 2]
    stored = np.rint(depth * UNITS_PER_METRE)
    # Behind the camera the division below would mirror points into the picture.
    usable = (stored >= 1) & (stored <= np.iinfo(np.uint16).max)
    seen, depth, stored = seen[usable], depth[usable], stored[usable]
    columns, rows = np.rint(seen[:, 0] / depth), np.rint(seen[:, 1] / depth)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    places = rows[inside].astype(np.int64) * width + columns[inside].astype(np.int64)
    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, places, stored[inside])
    nearest[np.isinf(nearest)] = 0
    return nearest.reshape(size).astype(np.uint16)
