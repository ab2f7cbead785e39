"""KITTI's cameras, one set a recording date, and the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbio.sample.geometry import Intrinsics

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rig:
    """The left colour camera of one date after rectification, pixels."""

    date: str
    height: int
    width: int
    intrinsics: Intrinsics


def _rig(date: str, height: int, width: int, focal: float, cx: float, cy: float) -> Rig:
    return Rig(date, height, width, Intrinsics(focal, focal, cx, cy))


RIGS = (
    _rig("2011_09_26", 375, 1242, 721.5377, 609.5593, 172.854),
    _rig("2011_09_28", 370, 1224, 707.0493, 604.0814, 180.5066),
    _rig("2011_09_29", 374, 1238, 718.3351, 600.3891, 181.5122),
    _rig("2011_09_30", 370, 1226, 707.0912, 601.8873, 183.1104),
    _rig("2011_10_03", 376, 1241, 718.856, 607.1928, 185.2157),
)
"""The five dates of KITTI with their frame sizes."""

_OFFSET_M = (0.0599, 0.0003, 0.0027)
"""Where camera 0 lies, in camera 2's axes."""


def projection(rig: Rig) -> Matrix:
    """P_rect_02 (3, 4): rectified camera 0 (metres) to pixels of camera 2, times its depth."""
    k = rig.intrinsics
    camera = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]])
    return np.hstack([camera, (camera @ np.array(_OFFSET_M))[:, None]])


def rectification() -> Matrix:
    """R_rect_00 (3, 3): a small turn."""
    return _turn(0.008, -0.0099, 0.0043)


def velodyne_to_camera() -> tuple[Matrix, Matrix]:
    """R (3, 3) and T (3,): Velodyne (x ahead, y left, z up) to camera 0, metres."""
    axes = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    return _turn(-0.0148, 0.0075, -0.0007) @ axes, np.array([-0.0041, -0.0763, -0.2718])


def to_velodyne(rig: Rig, columns: Matrix, rows: Matrix, depth: Matrix) -> Matrix:
    """Points (N, 3) in the Velodyne's axes that the rig's camera sees at pixels with depths."""
    p = projection(rig)
    scaled = np.stack([columns * depth, rows * depth, depth]) - p[:, 3:]
    rectified = np.linalg.solve(p[:, :3], scaled)
    rotation, shift = velodyne_to_camera()
    points: Matrix = (rotation.T @ (rectification().T @ rectified - shift[:, None])).T
    return points


def write_calibration(folder: Path, rig: Rig) -> None:
    """The date's three calibration files, with the keys of the official ones."""
    p, k = projection(rig), rig.intrinsics
    size = f"{rig.width:e} {rig.height:e}"
    lines = ["calib_time: 09-Jan-2012 13:57:47", "corner_dist: 9.950000e-02"]
    for camera, lateral in (("00", 0.0), ("01", -0.5371), ("02", _OFFSET_M[0]), ("03", -0.4711)):
        rect = p.copy()
        if camera != "02":
            rect[:, 3] = [k.fx * lateral, 0.0, 0.0]
        lines += [
            f"S_{camera}: 1.392000e+03 5.120000e+02",
            f"K_{camera}: {_row(p[:, :3])}",
            f"D_{camera}: {_row(np.zeros(5))}",
            f"R_{camera}: {_row(np.eye(3))}",
            f"T_{camera}: {_row(np.array([lateral, 0.0, 0.0]))}",
            f"S_rect_{camera}: {size}",
            f"R_rect_{camera}: {_row(rectification())}",
            f"P_rect_{camera}: {_row(rect)}",
        ]
    (folder / "calib_cam_to_cam.txt").write_text("\n".join(lines) + "\n")
    rotation, shift = velodyne_to_camera()
    _write_pose(folder / "calib_velo_to_cam.txt", rotation, shift)
    _write_pose(folder / "calib_imu_to_velo.txt", np.eye(3), np.array([-0.81, 0.32, -0.8]))


def _write_pose(path: Path, rotation: Matrix, shift: Matrix) -> None:
    path.write_text(f"calib_time: 15-Mar-2012 11:37:16\nR: {_row(rotation)}\nT: {_row(shift)}\n")


def _row(values: Matrix) -> str:
    return " ".join(f"{value:.9e}" for value in np.asarray(values).ravel())


def _turn(x: float, y: float, z: float) -> Matrix:
    """Rotation (3, 3) by small angles (radians) about the three axes in turn."""
    cx, cy, cz, sx, sy, sz = *np.cos([x, y, z]), *np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned: Matrix = about_z @ about_y @ about_x
    return turned
