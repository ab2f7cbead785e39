"""The labelled NYU-Depth-V2 file with its official split: 795 training and 654 test frames."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError
from symbio.prepare.entry import Entry, Picture, Plan, RawFrame, key_of
from symbio.prepare.mat_file import NAME, LabelledFile
from symbio.prepare.nyu_scenes import physical_scene

SPLITS = "splits.mat"
SIZE = (480, 640)
INTRINSICS = [518.8579, 519.4696, 325.5824, 253.7362]
"""fx, fy, cx, cy (pixels) of the RGB camera; they belong to frames of `SIZE`."""
_BORDER = (slice(7, 474), slice(7, 632))
"""Rows and columns that BTS's extraction keeps of the image; it blackens the border around."""


def plan(raw: Path, filled: bool, stack: contextlib.ExitStack) -> Plan:
    """Frames of the .mat in the order of splits.mat; `stack` closes the file.

    Frames of 480x640 get BTS's black border, in both splits, so that they are the frames of the
    published protocol (less its JPEG loss); `filled` takes the filled-in depth for training
    frames, never for frames that are scored.

    Raises:
        SymbioError: a file is missing or broken, or the split does not fit it.
    """
    labelled = LabelledFile(raw / NAME)
    stack.callback(labelled.close)
    splits = read_splits(find_splits(raw), len(labelled))
    entries = [
        _entry(labelled, split, index, filled)
        for split, indices in splits.items()
        for index in indices
    ]
    facts = {
        "border": "black outside rows 7:474 and columns 7:632 of 480x640 frames, as BTS extracts",
        "train_depth": "filled" if filled else "raw",
        "lists": {split: {"file": SPLITS, "frames": len(i)} for split, i in splits.items()},
    }
    return Plan("nyu", "labelled", 1000, "nyu894", entries, facts=facts)


def find_splits(raw: Path) -> Path:
    """splits.mat, in the raw folder. Raises SymbioError if it is not there."""
    if not (raw / SPLITS).is_file():
        raise SymbioError(
            f"{raw / SPLITS}: no such file; it is the official train/test split, offered beside "
            f"{NAME} on NYU's page of the data set"
        )
    return raw / SPLITS


def read_splits(path: Path, num_frames: int) -> dict[str, list[int]]:
    """Indices from 0 of the training and test frames (the file counts from 1).

    Raises:
        SymbioError: the file is broken, points outside the frames, or its splits overlap.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(path)
        numbers = {
            "train": np.asarray(content["trainNdxs"]).ravel().astype(np.int64),
            "test": np.asarray(content["testNdxs"]).ravel().astype(np.int64),
        }
    except KeyError as error:
        raise SymbioError(f"{path}: has no {error}; expected trainNdxs and testNdxs") from error
    except Exception as error:
        # scipy raises whatever its parser meets on a broken file.
        raise SymbioError(f"{path}: is no MATLAB file that can be read ({error})") from error
    both = np.concatenate(list(numbers.values()))
    if both.size == 0 or both.min() < 1 or both.max() > num_frames:
        found = f"{both.min()}..{both.max()}" if both.size else "none"
        raise SymbioError(
            f"{path}: frame numbers {found}, expected 1..{num_frames} (they count from 1)"
        )
    if len(np.unique(both)) != len(both):
        raise SymbioError(f"{path}: a frame comes twice in trainNdxs and testNdxs together")
    return {split: (values - 1).tolist() for split, values in numbers.items()}


def truth_of(labelled: LabelledFile, index: int) -> Picture | None:
    """Semantic labels of one frame, where the file has them."""
    if not labelled.has_labels:
        return None
    return Picture(labelled.labels(index), labelled.at("labels", index))


def _entry(labelled: LabelledFile, split: str, index: int, filled: bool) -> Entry:
    return Entry(
        key=key_of(f"{labelled.scene_types[index]}/{index:05d}"),
        split=split,
        scene=physical_scene(labelled.scenes[index]),
        source=f"{labelled.path.name}[{index}]",
        read=functools.partial(_read, labelled, index, filled),
    )


def _read(labelled: LabelledFile, index: int, filled: bool, split: str) -> RawFrame:
    filled = filled and split == "train"
    image = labelled.image(index)
    info: dict[str, Any] = {"recorded_scene": labelled.scenes[index]}
    if image.shape[:2] == SIZE:
        image = _blacken_border(image)
        info["intrinsics"] = INTRINSICS
    return RawFrame(
        image=Picture(image, labelled.at("images", index)),
        depth=Picture(
            labelled.depth_mm(index, filled),
            labelled.at("depths" if filled else "rawDepths", index),
        ),
        truth=truth_of(labelled, index),
        info=info,
    )


def _blacken_border(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    black = np.zeros_like(image)
    black[_BORDER] = image[_BORDER]
    return black
