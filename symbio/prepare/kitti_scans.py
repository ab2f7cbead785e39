"""Frames of KITTI whose depth comes from a laser scan."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from symbio.errors import SymbioError
from symbio.prepare.entry import Picture, RawFrame
from symbio.prepare.files import read_bytes
from symbio.prepare.kitti_extras import CAMERAS
from symbio.prepare.kitti_frames import Place
from symbio.prepare.velodyne import project, read_projection, read_scan


class Scans:
    """The scans and their calibration below a raw folder."""

    def __init__(self, raw: Path, folders: Sequence[str]) -> None:
        """`folders` below `raw` may hold the dates' folders."""
        self._raw = raw
        self._folders = folders
        self._projections: dict[tuple[str, str], NDArray[np.float64]] = {}

    def file_of(self, place: Place) -> Path | None:
        """A frame's scan, or None."""
        places = (self._raw / folder / place.scan for folder in self._folders)
        return next((path for path in places if path.is_file()), None)

    def reader(
        self,
        place: Place,
        files: tuple[Path, Path, Path | None],
        info: dict[str, Any],
        scored: bool,
    ) -> Callable[[str], RawFrame]:
        """Reads the frame, given its split.

        Args:
            place: which frame it is.
            files: image, scan and, if any, labels.
            info: the frame's info; `depth` is added.
            scored: whether val frames may hold scans too; otherwise they have no measurement, and
                are left out and counted for that.

        Raises:
            SymbioError: a calibration file of the date is missing or garbled.
        """
        key = place.date, place.camera
        if key not in self._projections:
            self._projections[key] = read_projection(self._folder_of(place.date), place.camera)
        info = {**info, "depth": "velodyne"}
        return functools.partial(_read, files, self._projections[key], info, scored)

    def _folder_of(self, date: str) -> Path:
        places = [self._raw / folder / date for folder in self._folders]
        found = next((place for place in places if (place / CAMERAS).is_file()), None)
        return places[0] if found is None else found


def _read(
    files: tuple[Path, Path, Path | None],
    projection: NDArray[np.float64],
    info: dict[str, Any],
    scored: bool,
    split: str,
) -> RawFrame:
    image, scan, truth = files
    content = read_bytes(image)
    size = _size(content, image)
    if split == "val" and not scored:
        depth = np.zeros(size, np.uint16)
    else:
        depth = project(read_scan(scan), projection, size)
    return RawFrame(
        image=Picture(content, str(image)),
        depth=Picture(depth, str(scan)),
        truth=None if truth is None else Picture(read_bytes(truth), str(truth)),
        info=info,
    )


def _size(content: bytes, path: Path) -> tuple[int, int]:
    """Height and width of an encoded picture, from its head."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.height, picture.width
    except OSError as error:
        raise SymbioError(f"{path}: cannot be decoded ({error})") from error
