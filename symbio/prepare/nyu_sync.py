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

from symbio.params import DatasetParams
from symbio.prepare import nyu_labelled
from symbio.prepare.entry import Entry, Missing, Picture, Plan, RawFrame, Skipped, key_of
from symbio.prepare.files import read_bytes
from symbio.prepare.findings import Findings
from symbio.prepare.lists import Finder, Line, SplitList, find_list, focal_of, looked_in, read_list
from symbio.prepare.mat_file import NAME, LabelledFile
from symbio.prepare.nyu_scenes import physical_scene

LISTS = {
    "train": (
        "nyudepthv2_train_files_with_gt.txt",
        "nyudepthv2_train_files_with_gt_dense.txt",
        "nyu_train.txt",
        "nyudepthv2/train_list.txt",
    ),
    "test": ("nyudepthv2_test_files_with_gt.txt", "nyu_test.txt", "nyudepthv2/test_list.txt"),
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


def plan(
    raw: Path, section: DatasetParams, stack: contextlib.ExitStack, findings: Findings
) -> Plan:
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
            entries += _listed(raw, listing, split, filled, labelled, skipped, findings)
        elif folder is not None:
            found = _walked(raw, folder, split, labelled, findings)
            facts["lists"][split] = {"folder": folder, "frames": len(found)}
            entries += found
        elif split == "test" and labelled is not None:
            official = nyu_labelled.plan(raw, filled=False, stack=stack)
            facts["lists"][split] = official.facts["lists"][split]
            facts["test_border"] = official.facts["border"]
            entries += [entry for entry in official.entries if entry.split == split]
        else:
            findings.no_list(split, LISTS[split][0], raw, _nothing(raw, split))
    return Plan(
        dataset="nyu",
        layout="sync",
        depth_scale=1000,
        label_space="nyu894",
        entries=entries,
        skipped=skipped,
        facts=facts,
        missing=findings.missing,
        problems=findings.problems,
    )


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
    findings: Findings,
) -> list[Entry]:
    finder = Finder(raw, listing, split)
    entries = []
    for line in listing.lines:
        image = line.columns[0].lstrip("/")
        depth = _depth_column(listing, line, filled and split == "train", findings)
        first = finder.repeats(line, _names(image)[1])
        if first is not None or depth == "None":
            reason = f"repeats line {first}" if first is not None else "the list gives no depth"
            skipped.append(Skipped(split, image, reason))
            continue
        image_file = finder.find(line, "image", _names(image), FOLDERS[split])
        depth_file = finder.find(line, "depth", _names(depth), FOLDERS[split])
        if image_file is not None and depth_file is not None:
            files = (image_file, depth_file)
            entries.append(_entry(raw, split, image, files, labelled, focal_of(line)))
    findings.absent(raw, finder.missing, len(listing.lines), looked_in(FOLDERS[split]))
    return entries


def _names(listed: str) -> tuple[str, str]:
    """The listed path, and its scene and file alone: some lists begin with folders of their own."""
    return listed, "/".join(listed.split("/")[-2:])


def _depth_column(listing: SplitList, line: Line, filled: bool, findings: Findings) -> str:
    """Second column, or the third, a dense depth path, if `filled`."""
    if filled and (len(line.columns) < 3 or focal_of(line) is not None):
        findings.problem(
            f"{listing.at(line)}: nyu.depth is 'filled', but the third column is no path of a "
            "dense depth map; set nyu.depth to raw, or take a list with dense depth (NeWCRFs)"
        )
        filled = False
    return line.columns[2 if filled else 1].lstrip("/")


def _walked(
    raw: Path, folder: str, split: str, labelled: LabelledFile | None, findings: Findings
) -> list[Entry]:
    entries = []
    missing = []
    for image in sorted((raw / folder).glob("*/rgb_*")):
        depth = image.with_name(f"sync_depth_{image.stem.removeprefix('rgb_')}.png")
        if not depth.is_file():
            missing.append(Missing(split, "depth", depth.name, str(image)))
            continue
        relative = image.relative_to(raw / folder).as_posix()
        entries.append(_entry(raw, split, relative, (image, depth), labelled, None))
    findings.absent(raw, missing, len(entries) + len(missing))
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
        key=key_of(f"{path.parent.name}/{name}"),
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
