"""KITTI: raw drives, annotated depth maps and, where present, the semantics benchmark's labels.

    raw/<date>/<date>_drive_<N>_sync/image_02/data/<frame>.png      images (also below raw/raw/)
    raw/<date>/calib_cam_to_cam.txt                                  intrinsics, if there
    raw/data_depth_annotated/{train,val}/<drive>/proj_depth/groundtruth/image_02/<frame>.png
    raw/data_semantics/training/semantic/<n>_10.png, mapping.txt     labels, if there
    raw/eigen_{train,test}_files_with_gt.txt                         lists

Depth maps are looked for in train/, in val/, in a merged folder and below the date, because the
lists leave that part of the path out and people merge the two.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.params import DatasetParams
from symbio.prepare.entry import Entry, Picture, Plan, RawFrame, Skipped, key_of
from symbio.prepare.files import read_bytes
from symbio.prepare.kitti_extras import Calibrations, Semantics
from symbio.prepare.lists import Finder, Line, SplitList, find_list, focal_of, read_list

LISTS = {
    "train": ("eigen_train_files_with_gt.txt", "kitti_eigen_train.txt"),
    "test": ("eigen_test_files_with_gt.txt", "kitti_eigen_test.txt"),
}
"""Names under which the lists circulate, in the order of preference."""
IMAGE_FOLDERS = ("", "raw", "raw_data", "kitti_raw")
DEPTH_FOLDERS = ("data_depth_annotated", "", "gts")
_NO_DEPTH = "None"
_IMAGE = re.compile(
    r"(?:.*/)?(?P<date>\d{4}_\d\d_\d\d)/(?P<drive>(?P=date)_drive_\d{4}_\w+)/"
    r"image_(?P<camera>0[0-3])/data/(?P<frame>\d+)\.(?:png|jpg)"
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Which frame of KITTI a path names."""

    date: str
    drive: str
    camera: str
    frame: str


def list_of(raw: Path, section: DatasetParams, split: str) -> Path | None:
    """The split's list: the one that params name, or an official one in the raw folder."""
    named = section.train_list if split == "train" else section.test_list
    return find_list(raw, named, LISTS[split], f"kitti.{split}_list")


def plan(raw: Path, section: DatasetParams) -> Plan:
    """Frames of the two lists; frames whose depth is `None` are counted and left out.

    Raises:
        SymbioError: a list or a listed file is missing, a path is no KITTI path, the two lists
            share a drive, or filled depth is asked for, which KITTI does not have.
    """
    if section.depth == "filled":
        raise SymbioError("kitti.depth: 'filled' was found; KITTI has only measured depth: use raw")
    semantics, calibrations = Semantics(raw), Calibrations(raw, IMAGE_FOLDERS)
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    drives: dict[str, set[str]] = {}
    facts: dict[str, Any] = {"lists": {}}
    for split in ("train", "test"):
        path = list_of(raw, section, split)
        if path is None:
            raise SymbioError(
                f"{raw}: no {split} list; expected {' or '.join(LISTS[split])} there, "
                f"or another one named by kitti.{split}_list"
            )
        listing = read_list(path)
        facts["lists"][split] = listing.facts()
        places = {line.number: _place(listing, line) for line in listing.lines}
        drives[split] = {place.drive for place in places.values()}
        entries += _listed(raw, listing, split, places, (semantics, calibrations), skipped)
    _refuse_shared(drives["train"] & drives["test"])
    facts["semantic_frames"] = {"mapped": len(semantics), "in_the_lists": semantics.used}
    return Plan("kitti", "annotated", 256, "cityscapes", entries, skipped, facts)


def _refuse_shared(shared: set[str]) -> None:
    if shared:
        names = ", ".join(sorted(shared)[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise SymbioError(
            f"{len(shared)} drives are in both the train and the test list: {names}{more}; scores "
            "would be of frames seen in training. Take both lists from one split: the Eigen split "
            "and the official depth split overlap"
        )


def _place(listing: SplitList, line: Line) -> Place:
    match = _IMAGE.fullmatch(line.columns[0])
    if match is None:
        raise SymbioError(
            f"{listing.at(line)}: {line.columns[0]!r} is no path of the form "
            "<date>/<date>_drive_<number>_sync/image_02/data/<frame>.png"
        )
    return Place(match["date"], match["drive"], match["camera"], match["frame"])


def _listed(
    raw: Path,
    listing: SplitList,
    split: str,
    places: dict[int, Place],
    extras: tuple[Semantics, Calibrations],
    skipped: list[Skipped],
) -> list[Entry]:
    finder = Finder(raw, listing)
    semantics, calibrations = extras
    entries = []
    for line in listing.lines:
        place, image = places[line.number], line.columns[0].lstrip("/")
        first = finder.repeats(line)
        if first is not None or line.columns[1] == _NO_DEPTH:
            reason = f"repeats line {first}" if first is not None else "the list gives no depth"
            skipped.append(Skipped(split, image, reason))
            continue
        image_file = finder.find(line, image, IMAGE_FOLDERS)
        depth_file = finder.find(line, line.columns[1].lstrip("/"), _depth_folders(place.date))
        if image_file is None or depth_file is None:
            continue
        truth_file = None
        if place.camera == "02":
            truth_file = semantics.file_of(place.date, place.drive, place.frame)
        info = calibrations.info(place.date, place.camera, focal_of(line))
        entries.append(
            Entry(
                key=key_of(f"{place.drive}-{place.camera}-{place.frame}"),
                split=split,
                scene=place.drive,
                source=image_file.relative_to(raw).as_posix(),
                read=functools.partial(_read, image_file, depth_file, truth_file, info),
            )
        )
    finder.finish()
    return entries


def _depth_folders(date: str) -> list[str]:
    return [
        "/".join(part for part in (folder, below) if part)
        for folder in DEPTH_FOLDERS
        for below in ("train", "val", "", date)
    ]


def _read(
    image: Path, depth: Path, truth: Path | None, info: dict[str, Any], split: str
) -> RawFrame:
    return RawFrame(
        image=Picture(read_bytes(image), str(image)),
        depth=Picture(read_bytes(depth), str(depth)),
        truth=None if truth is None else Picture(read_bytes(truth), str(truth)),
        info=info,
    )
