"""Which KITTI frames a list names, in every form in which the lists circulate.

BTS, iDisc: <date>/<drive>/image_02/data/<frame>.png <drive>/proj_depth/groundtruth/... focal
GLPDepth, Depth Anything V2: the same, with folders before both paths (data_depth_annotated/val/)
monodepth2: <date>/<drive> <frame> l, where l and r are the left and right colour cameras

`None` for the depth says that there is none; monodepth2's form does not say whether there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from symbio.prepare.findings import Findings
from symbio.prepare.lists import Line, SplitList

_NO_DEPTH = "None"
_DRIVE = r"(?:.*/)?(?P<date>\d{4}_\d\d_\d\d)/(?P<drive>(?P=date)_drive_\d{4}_\w+)"
_IMAGE = re.compile(rf"{_DRIVE}/image_(?P<camera>0[0-3])/data/(?P<frame>\d+)\.(?:png|jpg)")
_FOLDER = re.compile(_DRIVE)
_MAP = re.compile(
    r"(?:.*/)?(?P<drive>[^/]+)/proj_depth/groundtruth/image_(?P<camera>0[0-3])/(?P<frame>\d+)\.png"
)
_SIDES = {"l": "02", "r": "03"}


@dataclass(frozen=True, slots=True)
class Place:
    """Which frame of KITTI a path names."""

    date: str
    drive: str
    camera: str
    frame: str
    """Ten digits."""

    @property
    def image(self) -> str:
        """Path of the image, less its ending."""
        return f"{self.date}/{self.drive}/image_{self.camera}/data/{self.frame}"

    @property
    def depth(self) -> str:
        """Path of the annotated depth map below train/ or val/."""
        return f"{self.drive}/proj_depth/groundtruth/image_{self.camera}/{self.frame}.png"

    @property
    def scan(self) -> str:
        """Path of the laser scan."""
        return f"{self.date}/{self.drive}/velodyne_points/data/{self.frame}.bin"


@dataclass(frozen=True, slots=True)
class Listed:
    """One line, read."""

    line: Line
    place: Place
    images: tuple[str, ...]
    """Paths that the image may have: as listed first."""
    depths: tuple[str, ...]
    """The same of the depth map; empty where the list says that there is none."""
    names_depth: bool
    """False in monodepth2's form."""


def read_frames(listing: SplitList, findings: Findings) -> list[Listed]:
    """The frames of a list; lines of no known form are noted as problems."""
    found = (_read(listing, line, findings) for line in listing.lines)
    return [frame for frame in found if frame is not None]


def _read(listing: SplitList, line: Line, findings: Findings) -> Listed | None:
    first, second = line.columns[:2]
    image = _IMAGE.fullmatch(first)
    if image is not None:
        place = Place(image["date"], image["drive"], image["camera"], image["frame"])
        images = (first.lstrip("/"), place.image + first[-4:])
        if second == _NO_DEPTH:
            return Listed(line, place, images, (), names_depth=True)
        depth = _MAP.fullmatch(second)
        if depth is None:
            return Listed(line, place, images, (second.lstrip("/"),), names_depth=True)
        if (depth["drive"], depth["camera"], depth["frame"]) == (
            place.drive,
            place.camera,
            place.frame,
        ):
            depths = (second.lstrip("/"), place.depth)
            return Listed(line, place, images, depths, names_depth=True)
        findings.problem(
            f"{listing.at(line)}: the depth map {second} belongs to another frame than the image "
            f"{first}"
        )
        return None
    folder = _FOLDER.fullmatch(first)
    if folder is not None and second.isdecimal() and line.columns[2:3] in (("l",), ("r",)):
        camera = _SIDES[line.columns[2]]
        place = Place(folder["date"], folder["drive"], camera, f"{int(second):010d}")
        # monodepth2 advises its users to convert the images to JPEG.
        images = (f"{place.image}.png", f"{place.image}.jpg")
        return Listed(line, place, images, (place.depth,), names_depth=False)
    findings.problem(
        f"{listing.at(line)}: {' '.join(line.columns)!r} is no path of the form "
        "<date>/<date>_drive_<number>_sync/image_02/data/<frame>.png with a depth map or None, nor "
        "<date>/<date>_drive_<number>_sync <frame> l"
    )
    return None
