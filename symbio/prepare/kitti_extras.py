"""What may lie beside KITTI's images and depth: calibration, and labels of the semantics set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError
from symbio.prepare.files import read_bytes
from symbio.prepare.findings import Findings

SEMANTICS = "data_semantics/training"
MAPPINGS = ("mapping.txt", "train_mapping.txt")
CAMERAS = "calib_cam_to_cam.txt"
"""Calibration of the cameras, in the folder of each date."""


class Calibrations:
    """Rectified intrinsics of each date and camera, from calib_cam_to_cam.txt where it lies."""

    def __init__(self, raw: Path, folders: Sequence[str]) -> None:
        self._raw = raw
        self._folders = folders
        self._known: dict[tuple[str, str], list[float] | None] = {}

    def info(self, date: str, camera: str, focal: float | None) -> dict[str, Any]:
        """`intrinsics` [fx, fy, cx, cy] (pixels) if calibrated, else the list's `focal` if any."""
        key = date, camera
        if key not in self._known:
            self._known[key] = self._look(date, camera)
        intrinsics = self._known[key]
        if intrinsics is not None:
            return {"intrinsics": intrinsics}
        return {} if focal is None else {"focal": focal}

    def _look(self, date: str, camera: str) -> list[float] | None:
        places = (self._raw / folder / date / CAMERAS for folder in self._folders)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            return None
        p = read_matrix(path, f"P_rect_{camera}", 3, 4)
        return [float(p[0, 0]), float(p[1, 1]), float(p[0, 2]), float(p[1, 2])]


def read_matrix(path: Path, name: str, rows: int, columns: int) -> NDArray[np.float64]:
    """A matrix (rows, columns) of a calibration file, where it stands row by row.

    Raises:
        SymbioError: the file is missing, has no such matrix, or it has other than these numbers.
    """
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        key, _, text = line.partition(":")
        if key.strip() != name:
            continue
        expected = rows * columns
        try:
            values = [float(value) for value in text.split()]
        except ValueError as error:
            raise SymbioError(f"{path}: {name} is not {expected} numbers ({error})") from error
        if len(values) != expected:
            raise SymbioError(f"{path}: {name} has {len(values)} numbers, expected {expected}")
        return np.array(values).reshape(rows, columns)
    raise SymbioError(f"{path}: has no {name}; take the date's official calibration file")


class Semantics:
    """Labels of the semantics benchmark's training frames, by the raw frame that each shows.

    Line i (from 0, blank lines counted) of the mapping says "date drive frame" of picture
    <i>_10.png, or is blank where the picture belongs to no raw drive.
    """

    def __init__(self, raw: Path, findings: Findings) -> None:
        """Raises SymbioError if findings are strict and labels or their mapping are not whole."""
        self._files: dict[tuple[str, str, str], Path] = {}
        self._findings = findings
        self.used = 0
        folder = raw / SEMANTICS
        if not (folder / "semantic").is_dir():
            return
        mapping = next((folder / name for name in MAPPINGS if (folder / name).is_file()), None)
        if mapping is None:
            findings.problem(
                f"{folder}: has semantic/ but neither {' nor '.join(MAPPINGS)}, which say what raw "
                "frame each picture shows; the file is in KITTI's scene flow development kit"
            )
            return
        lines = read_bytes(mapping).decode("utf-8-sig", "replace").splitlines()
        for index, text in enumerate(lines):
            self._take(folder, mapping, index, text.split())

    def __len__(self) -> int:
        return len(self._files)

    def file_of(self, date: str, drive: str, frame: str) -> Path | None:
        """Label file of a raw frame, or None."""
        path = self._files.get((date, drive, frame))
        self.used += path is not None
        return path

    def _take(self, folder: Path, mapping: Path, index: int, columns: list[str]) -> None:
        if not columns:
            return
        if len(columns) != 3:
            self._findings.problem(
                f"{mapping}, line {index + 1}: expected `date drive frame` or a blank line, "
                f"found {' '.join(columns)!r}"
            )
            return
        path = folder / "semantic" / f"{index:06d}_10.png"
        if not path.is_file():
            self._findings.problem(f"{mapping}, line {index + 1}: no file {path}")
            return
        date, drive, frame = columns
        self._files[date, drive, frame] = path
