"""KITTI: raw drives, annotated depth maps and, where present, the semantics benchmark's labels.

    raw/<date>/<date>_drive_<N>_sync/image_02/data/<frame>.png      images (also below raw/raw/)
    raw/<date>/<date>_drive_<N>_sync/velodyne_points/data/<frame>.bin          scans, if asked for
    raw/<date>/calib_cam_to_cam.txt, calib_velo_to_cam.txt           calibration, if there
    raw/data_depth_annotated/{train,val}/<drive>/proj_depth/groundtruth/image_02/<frame>.png
    raw/depth_selection/val_selection_cropped/                       official test set, if there
    raw/data_semantics/training/semantic/<n>_10.png, mapping.txt     labels, if there
    raw/eigen_{train,test}_files_with_gt.txt                         lists

Depth maps are looked for in train/, in val/, in a merged folder and below the date, because the
lists leave that part of the path out and people merge the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symbio.params import DatasetParams
from symbio.prepare import kitti_selection
from symbio.prepare.entry import Entry, Plan
from symbio.prepare.findings import Findings
from symbio.prepare.kitti_reader import Reader
from symbio.prepare.lists import find_list, read_list

LISTS = {
    "train": (
        "eigen_train_files_with_gt.txt",
        "kitti_eigen_train.txt",
        "eigen_benchmark/train_list.txt",
        "eigen_zhou/train_files.txt",
    ),
    "test": (
        "eigen_test_files_with_gt.txt",
        "kitti_eigen_test.txt",
        "eigen_benchmark/test_list.txt",
        "eigen_benchmark/test_files.txt",
        "eigen/test_files.txt",
    ),
}
"""Names under which the lists circulate, in the order of preference."""
_SHOWN = 5


def list_of(raw: Path, section: DatasetParams, split: str) -> Path | None:
    """The split's list: the one that params name, or an official one in the raw folder.

    None also where params name the folder of the official selection.
    """
    named = section.train_list if split == "train" else section.test_list
    if split == "test" and named is not None and kitti_selection.folder_of(raw, named):
        return None
    return find_list(raw, named, LISTS[split], f"kitti.{split}_list")


def plan(raw: Path, section: DatasetParams, findings: Findings) -> Plan:
    """Frames of the two lists; frames that have no depth are counted and left out.

    Raises:
        SymbioError: a list or a listed file is missing, a path is no KITTI path, the two lists
            share a drive, or filled depth is asked for, which KITTI does not have.
    """
    if section.depth == "filled":
        findings.problem(
            "kitti.depth: 'filled' was found; KITTI has only measured depth: use raw or velodyne"
        )
    reader = Reader(raw, section.depth == "velodyne", findings)
    drives: dict[str, set[str]] = {}
    official: list[Entry] = []
    facts: dict[str, Any] = {"train_depth": "annotated", "lists": {}}
    for split in ("train", "test"):
        path = list_of(raw, section, split)
        folder = kitti_selection.folder_of(raw, section.test_list) if split == "test" else None
        if path is not None:
            listing = read_list(path)
            facts["lists"][split] = listing.facts()
            drives[split] = reader.take(split, listing)
        elif folder is not None:
            official = kitti_selection.entries(raw, folder, findings)
            drives[split] = {entry.scene for entry in official}
            name = folder.relative_to(raw).as_posix()
            facts["lists"][split] = {"folder": name, "frames": len(official)}
        else:
            findings.no_list(split, LISTS[split][0], raw, _no_list(raw, split))
    _refuse_shared(drives.get("train", set()) & drives.get("test", set()), findings)
    entries = reader.entries() + official
    if section.depth == "velodyne":
        facts["train_depth"] = "annotated, laser scans where there is none"
        facts["velodyne"] = reader.scanned
    facts["semantic_frames"] = reader.semantic_frames()
    return Plan(
        dataset="kitti",
        layout="annotated",
        depth_scale=256,
        label_space="cityscapes",
        entries=entries,
        skipped=reader.skipped,
        facts=facts,
        missing=findings.missing,
        problems=findings.problems,
    )


def _no_list(raw: Path, split: str) -> str:
    selection = f", or frames in {kitti_selection.FOLDERS[0]}/" if split == "test" else ""
    return (
        f"{raw}: no {split} list; expected {' or '.join(LISTS[split])} there, "
        f"or another one named by kitti.{split}_list{selection}"
    )


def _refuse_shared(shared: set[str], findings: Findings) -> None:
    if shared:
        names = ", ".join(sorted(shared)[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        findings.problem(
            f"{len(shared)} drives are in both the train and the test list: {names}{more}; scores "
            "would be of frames seen in training. Take both lists from one split: the Eigen split "
            "and the official depth split overlap"
        )
