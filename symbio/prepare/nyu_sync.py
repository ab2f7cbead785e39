"""NYU-Depth-V2 as folders of extracted frames with split lists (BTS, AdaBins, NeWCRFs, ...).

    raw/sync/<scene>/rgb_00045.jpg, sync_depth_00045.png            training frames
    raw/official_splits/test/<type>/rgb_00045.jpg, sync_depth_...   test frames
    raw/nyudepthv2_{train,test}_files_with_gt.txt                   lists

The number of a *test* file is the frame's index from 0 in the labelled .mat, so that semantic
labels can be taken from there; the number of a sync file is only its place in the recording.
"""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path, PurePosixPath
from typing import Any

from symbio.errors import SymbioError
from symbio.params import DatasetParams
from symbio.prepare import nyu_labelled
from symbio.prepare.entry import Entry, Picture, Plan, RawFrame, Skipped, key_of
from symbio.prepare.files import read_bytes
from symbio.prepare.lists import Finder, Line, SplitList, find_list, focal_of, read_list
from symbio.prepare.mat_file import NAME, LabelledFile
from symbio.prepare.nyu_scenes import physical_scene

LISTS = {
    "train": (
        "nyudepthv2_train_files_with_gt.txt",
        "nyudepthv2_train_files_with_gt_dense.txt",
        "nyu_train.txt",
    ),
    "test": ("nyudepthv2_test_files_with_gt.txt", "nyu_test.txt"),
}
"""Names under which the lists circulate, in the order of preference."""
FOLDERS = {
    "train": ("", "sync", "official_splits/train", "train"),
    "test": ("", "official_splits/test", "test"),
}
_OFFICIAL = {
    "train": ("official_splits/train", "train"),
    "test": ("official_splits/test", "test"),
}


def list_of(raw: Path, section: DatasetParams, split: str) -> Path | None:
    """The split's list: the one that params name, or an official one in the raw folder."""
    named = section.train_list if split == "train" else section.test_list
    return find_list(raw, named, LISTS[split], f"nyu.{split}_list")


def folder_of(raw: Path, split: str) -> str | None:
    """The official_splits folder of a split (relative to `raw`) that holds frames, if any."""
    found = (f for f in _OFFICIAL[split] if any((raw / f).glob("*/rgb_*")))
    return next(found, None)


def plan(raw: Path, section: DatasetParams, stack: contextlib.ExitStack) -> Plan:
    """Frames of the lists, else of the official_splits folders; test frames also from the .mat.

    Raises:
        SymbioError: a split has neither list nor folder, or a listed file is missing.
    """
    labelled = None
    if (raw / NAME).is_file():
        labelled = LabelledFile(raw / NAME)
        stack.callback(labelled.close)
    filled = section.depth == "filled"
    facts: dict[str, Any] = {"train_depth": section.depth, "lists": {}}
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    for split in ("train", "test"):
        path, folder = list_of(raw, section, split), folder_of(raw, split)
        if path is not None:
            listing = read_list(path)
            facts["lists"][split] = listing.facts()
            entries += _listed(raw, listing, split, filled, labelled, skipped)
        elif folder is not None:
            found = _walked(raw, folder, split, labelled)
            facts["lists"][split] = {"folder": folder, "frames": len(found)}
            entries += found
        elif split == "test" and labelled is not None:
            official = nyu_labelled.plan(raw, filled=False, stack=stack)
            facts["lists"][split] = official.facts["lists"][split]
            facts["test_border"] = official.facts["border"]
            entries += [entry for entry in official.entries if entry.split == split]
        else:
            raise SymbioError(_nothing(raw, split))
    return Plan("nyu", "sync", 1000, "nyu894", entries, skipped, facts)


def _nothing(raw: Path, split: str) -> str:
    return (
        f"{raw}: no {split} frames; expected a list ({' or '.join(LISTS[split])}), named by "
        f"nyu.{split}_list or lying in the folder, or frames in "
        f"{' or '.join(_OFFICIAL[split])}/<scene>/rgb_*.jpg"
    )


def _listed(
    raw: Path,
    listing: SplitList,
    split: str,
    filled: bool,
    labelled: LabelledFile | None,
    skipped: list[Skipped],
) -> list[Entry]:
    finder = Finder(raw, listing)
    entries = []
    for line in listing.lines:
        image, depth = line.columns[0].lstrip("/"), _depth_column(listing, line, filled, split)
        first = finder.repeats(line)
        if first is not None or depth == "None":
            reason = f"repeats line {first}" if first is not None else "the list gives no depth"
            skipped.append(Skipped(split, image, reason))
            continue
        image_file = finder.find(line, image, FOLDERS[split])
        depth_file = finder.find(line, depth, FOLDERS[split])
        if image_file is not None and depth_file is not None:
            files = (image_file, depth_file)
            entries.append(_entry(raw, split, image, files, labelled, focal_of(line)))
    finder.finish()
    return entries


def _depth_column(listing: SplitList, line: Line, filled: bool, split: str) -> str:
    """Second column; the third, a dense depth path, for filled training frames."""
    if not (filled and split == "train"):
        return line.columns[1].lstrip("/")
    if len(line.columns) < 3 or focal_of(line) is not None:
        raise SymbioError(
            f"{listing.at(line)}: nyu.depth is 'filled', but the third column is no path of a "
            "dense depth map; set nyu.depth to raw, or take a list with dense depth (NeWCRFs)"
        )
    return line.columns[2].lstrip("/")


def _walked(raw: Path, folder: str, split: str, labelled: LabelledFile | None) -> list[Entry]:
    entries = []
    for image in sorted((raw / folder).glob("*/rgb_*")):
        depth = image.with_name(f"sync_depth_{image.stem.removeprefix('rgb_')}.png")
        if not depth.is_file():
            raise SymbioError(f"{image}: its depth map {depth.name} is missing")
        relative = image.relative_to(raw / folder).as_posix()
        entries.append(_entry(raw, split, relative, (image, depth), labelled, None))
    return entries


def _entry(
    raw: Path,
    split: str,
    relative: str,
    files: tuple[Path, Path],
    labelled: LabelledFile | None,
    focal: float | None,
) -> Entry:
    path = PurePosixPath(relative)
    name = path.stem.removeprefix("rgb_")
    index = _labelled_index(labelled, path.parent.name, name)
    return Entry(
        key=key_of((path.parent / name).as_posix()),
        split=split,
        scene=physical_scene(path.parent.name),
        source=files[0].relative_to(raw).as_posix(),
        read=functools.partial(_read, files, labelled, index, focal),
    )


def _labelled_index(labelled: LabelledFile | None, scene_type: str, number: str) -> int | None:
    """Index in the .mat of a frame of the official splits, else None.

    Their folders are scene types ("bathroom"), which the .mat must have at that index too; those
    of sync frames are recordings ("bathroom_0001").
    """
    if labelled is None or not number.isdecimal() or int(number) >= len(labelled):
        return None
    return int(number) if labelled.scene_types[int(number)] == scene_type else None


def _read(
    files: tuple[Path, Path],
    labelled: LabelledFile | None,
    index: int | None,
    focal: float | None,
    split: str,
) -> RawFrame:
    image, depth = files
    truth = None
    if labelled is not None and index is not None:
        truth = nyu_labelled.truth_of(labelled, index)
    return RawFrame(
        image=Picture(read_bytes(image), str(image)),
        depth=Picture(read_bytes(depth), str(depth)),
        truth=truth,
        info={} if focal is None else {"focal": focal},
    )
