"""A data set of one's own: a folder of pictures and depth with a dataset.yaml that explains it.

    raw/dataset.yaml                                what follows, in its own words
    raw/train/<scene>/<frame>.jpg, <frame>.png      for example: any names and folders

Frames are found by the patterns of dataset.yaml or named in lists. No pattern and no list leads
out of the folder; links that lie in it are followed, as large data often lies elsewhere.
"""

from __future__ import annotations

import functools
import hashlib
import io
from pathlib import Path
from typing import Any

from PIL import Image

from symbio.data.classes import label_space
from symbio.errors import SymbioError
from symbio.params import DatasetParams, section_key
from symbio.prepare.custom_depth import read_depth
from symbio.prepare.custom_files import FrameFiles, files_of
from symbio.prepare.dataset_file import NAME, CameraFile, DatasetFile, read_dataset_file
from symbio.prepare.entry import Entry, Picture, Plan, RawFrame, key_of
from symbio.prepare.files import read_bytes
from symbio.prepare.findings import Findings

_SHOWN = 5


def plan(dataset: str, raw: Path, section: DatasetParams, findings: Findings) -> Plan:
    """Frames of the splits that dataset.yaml describes.

    Raises:
        SymbioError: dataset.yaml is missing or wrong; if strict, also if a split has no frame, a
            file is missing, or a frame is listed twice or in two splits.
    """
    file = read_dataset_file(raw)
    splits = file.splits
    named = {"train": splits.train, "val": splits.val, "test": splits.test}
    if splits.val is not None and section.val_share > 0:
        findings.problem(
            f"{section_key(dataset)}.val_share: must be 0, since {raw / NAME} names the frames of "
            f"val (found {section.val_share:g})"
        )
    facts: dict[str, Any] = {"lists": {}}
    entries: list[Entry] = []
    for split, files in named.items():
        if files is not None:
            frames, facts["lists"][split] = files_of(raw, split, files, findings)
            entries += [_entry(raw, split, one, file) for one in frames]
    entries = _each_once(entries, findings)
    facts |= _facts(raw, file, entries)
    return Plan(
        dataset=dataset,
        layout="custom",
        depth_scale=file.depth.stored_scale,
        label_space=file.labels.label_space,
        entries=entries,
        facts=facts,
        missing=findings.missing,
        problems=findings.problems,
    )


def _entry(raw: Path, split: str, files: FrameFiles, file: DatasetFile) -> Entry:
    key = key_of(files.image.rpartition(".")[0] or files.image)
    read = functools.partial(_read, raw, files, file)
    return Entry(key, split, files.scene, files.image, read)


def _read(raw: Path, files: FrameFiles, file: DatasetFile, _split: str) -> RawFrame:
    image = read_bytes(raw / files.image)
    labels = None
    if files.labels is not None:
        labels = Picture(read_bytes(raw / files.labels), str(raw / files.labels))
    info = {} if file.camera is None else _intrinsics(image, file.camera)
    depth = Picture(read_depth(raw / files.depth, file.depth), str(raw / files.depth))
    return RawFrame(Picture(image, str(raw / files.image)), depth, labels, info)


def _intrinsics(image: bytes, camera: CameraFile) -> dict[str, Any]:
    try:
        ratio = Image.open(io.BytesIO(image)).width / camera.width
    except OSError:  # said by the check of the picture, with its name
        return {}
    return {"intrinsics": [ratio * one for one in (camera.fx, camera.fy, camera.cx, camera.cy)]}


def _each_once(entries: list[Entry], findings: Findings) -> list[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        other = first.setdefault(entry.key, entry)
        if other is entry:
            continue
        if other.source != entry.source:
            what = f"{other.source} and {entry.source} differ in their endings only: rename one"
        else:
            what = f"{entry.source} is in {other.split} and again in {entry.split}: name it once"
        findings.problem(what)
    return list(first.values())


def _facts(raw: Path, file: DatasetFile, entries: list[Entry]) -> dict[str, Any]:
    """For the header: what the file says that others need, and what the reader noticed."""
    scenes = {split: {e.scene for e in entries if e.split == split} for split in ("train", "test")}
    shared = sorted(scenes["train"] & scenes["test"])
    names = label_space(file.labels.label_space)
    facts: dict[str, Any] = {
        "dataset_file_sha256": hashlib.sha256(read_bytes(raw / NAME)).hexdigest(),
        "range_m": list(file.depth.range),
        "scenes_in_train_and_test": {"count": len(shared), "first": shared[:_SHOWN]},
    }
    if file.camera is not None:
        facts["focal_of_width"] = file.camera.fx / file.camera.width
    if file.labels.names:
        lost = [n for n, there in zip(names.names, names.reachable, strict=True) if not there]
        facts["classes_without_ade20k"] = lost
    return facts


def refuse_without(dataset: str, section: DatasetParams, raw: Path) -> None:
    """Raises SymbioError, which says what to put there, if the raw folder has no dataset.yaml."""
    if not (raw / NAME).is_file():
        what = f"no file {NAME} in {raw}" if raw.is_dir() else f"no folder {raw}"
        raise SymbioError(
            f"{section_key(dataset)}.raw: {section.raw!r}: {what}; expected a folder of pictures "
            f"and depth with a {NAME} that says which is which (docs/custom-data.md)"
        )
