"""What may lie beside KITTI's images and depth: calibration, and labels of the semantics set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.prepare.files import read_bytes

SEMANTICS = "data_semantics/training"
MAPPINGS = ("mapping.txt", "train_mapping.txt")
_CALIBRATION = "calib_cam_to_cam.txt"


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
        places = (self._raw / folder / date / _CALIBRATION for folder in self._folders)
        path = next((place for place in places if place.is_file()), None)
        return None if path is None else read_projection(path, camera)


def read_projection(path: Path, camera: str) -> list[float]:
    """fx, fy, cx, cy (pixels) of a camera from its rectified projection P_rect (3x4, row-wise).

    Raises:
        SymbioError: the file has no such projection, or it is not twelve numbers.
    """
    name = f"P_rect_{camera}"
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        key, _, values = line.partition(":")
        if key.strip() != name:
            continue
        try:
            p = [float(value) for value in values.split()]
        except ValueError as error:
            raise SymbioError(f"{path}: {name} is not twelve numbers ({error})") from error
        if len(p) != 12:
            raise SymbioError(f"{path}: {name} has {len(p)} numbers, expected 12")
        return [p[0], p[5], p[2], p[6]]
    raise SymbioError(f"{path}: has no {name}; take the date's official calibration file")


class Semantics:
    """Labels of the semantics benchmark's training frames, by the raw frame that each shows.

    Line i (from 0, blank lines counted) of the mapping says "date drive frame" of picture
    <i>_10.png, or is blank where the picture belongs to no raw drive.
    """

    def __init__(self, raw: Path) -> None:
        """Raises SymbioError if there are labels whose mapping is missing or garbled."""
        self._files: dict[tuple[str, str, str], Path] = {}
        self.used = 0
        folder = raw / SEMANTICS
        if not (folder / "semantic").is_dir():
            return
        mapping = next((folder / name for name in MAPPINGS if (folder / name).is_file()), None)
        if mapping is None:
            raise SymbioError(
                f"{folder}: has semantic/ but neither {' nor '.join(MAPPINGS)}, which say what raw "
                "frame each picture shows; the file is in KITTI's scene flow development kit"
            )
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
            raise SymbioError(
                f"{mapping}, line {index + 1}: expected `date drive frame` or a blank line, "
                f"found {' '.join(columns)!r}"
            )
        path = folder / "semantic" / f"{index:06d}_10.png"
        if not path.is_file():
            raise SymbioError(f"{mapping}, line {index + 1}: no file {path}")
        date, drive, frame = columns
        self._files[date, drive, frame] = path
