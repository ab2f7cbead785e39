"""KITTI's official selection for validation: 1,000 frames cropped to 352x1216, as the test set.

raw/depth_selection/val_selection_cropped/image/<drive>_image_<frame>_image_02.png
raw/depth_selection/val_selection_cropped/groundtruth_depth/
    <drive>_groundtruth_depth_<frame>_image_02.png
raw/depth_selection/val_selection_cropped/intrinsics/<drive>_image_<frame>_image_02.txt
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.prepare.entry import Entry, Missing, Picture, RawFrame, key_of
from symbio.prepare.files import read_bytes
from symbio.prepare.findings import Findings

FOLDERS = (
    "depth_selection/val_selection_cropped",
    "data_depth_selection/depth_selection/val_selection_cropped",
    "val_selection_cropped",
)
"""Where the selection is looked for, below the raw folder."""
_NAME = re.compile(
    r"(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_\w+?)_image_(?P<frame>\d{10})_image_(?P<camera>0[23])"
)


def folder_of(raw: Path, named: str | None) -> Path | None:
    """The selection's folder: the one that params name (relative to `raw`), or a usual one."""
    places = (raw / folder for folder in ((named,) if named is not None else FOLDERS))
    return next((place for place in places if (place / "image").is_dir()), None)


def entries(raw: Path, folder: Path, findings: Findings) -> list[Entry]:
    """Test frames in the order of their names; pictures without a depth map are noted.

    Raises:
        SymbioError: a name has another form, or, if findings are strict, a depth map is missing.
    """
    found: list[Entry] = []
    missing: list[Missing] = []
    images = sorted((folder / "image").glob("*.png"))
    for image in images:
        match = _NAME.fullmatch(image.stem)
        if match is None:
            findings.problem(
                f"{image}: is not named <date>_drive_<number>_sync_image_<frame>_image_02.png"
            )
            continue
        drive, frame, camera = match["drive"], match["frame"], match["camera"]
        name = f"{drive}_groundtruth_depth_{frame}_image_{camera}.png"
        depth = folder / "groundtruth_depth" / name
        if not depth.is_file():
            missing.append(Missing("test", "depth", name, str(depth.parent)))
            continue
        intrinsics = folder / "intrinsics" / f"{image.stem}.txt"
        info = {"intrinsics": read_camera(intrinsics)} if intrinsics.is_file() else {}
        found.append(
            Entry(
                key=key_of(f"{drive}-{camera}-{frame}"),
                split="test",
                scene=drive,
                source=image.relative_to(raw).as_posix(),
                read=functools.partial(_read, image, depth, info),
            )
        )
    findings.absent(raw, missing, len(images))
    return found


def read_camera(path: Path) -> list[float]:
    """fx, fy, cx, cy (pixels of the cropped picture) from nine numbers, row by row.

    Raises:
        SymbioError: the file does not hold nine numbers.
    """
    try:
        k = [float(value) for value in read_bytes(path).split()]
    except ValueError as error:
        raise SymbioError(f"{path}: is not nine numbers ({error})") from error
    if len(k) != 9:
        raise SymbioError(f"{path}: has {len(k)} numbers, expected 9")
    return [k[0], k[4], k[2], k[5]]


def _read(image: Path, depth: Path, info: dict[str, Any], split: str) -> RawFrame:
    return RawFrame(
        image=Picture(read_bytes(image), str(image)),
        depth=Picture(read_bytes(depth), str(depth)),
        truth=None,
        info=info,
    )
