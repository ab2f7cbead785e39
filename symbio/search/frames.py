"""frames.json: what an exported network scored on every frame of the data set's splits.

    {"model": sha256, "dataset": "nyu", "protocol": "nyu-eigen", "aggregation": "per-image",
     "data_sha256": ..., "maps_sha256": ...,
     "splits": {"val": {
        "keys": [F], "scenes": [F], "pixels": [F],
        "metrics": {"abs_rel": [F], ...},
        "totals": {"abs_rel": ..., "pseudo_miou": ..., "truth_miou": ..., ...},
        "classes": {"pseudo": {"space": "ade20k", "pixels": [F],
                               "counts": [F lists of [class, intersection, union]]},
                    "truth": ...}}}}

F frames, in the order of `keys`. What is no number (a frame without depth, a NaN prediction) is
null. Classes are pixel counts and not scores, because the mean IoU of several frames is no mean of
theirs: counts add up, and so any selection of frames can be scored again from this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import read_json, whole_file

FRAMES_FILE = "frames.json"

Number = float | None
"""None: no finite number."""


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Pixels of classes, frame by frame, against one kind of label."""

    space: str
    """Name of the label space in which they were compared."""
    pixels: list[int]
    """Labelled pixels of each frame."""
    counts: list[list[list[int]]]
    """Of each frame the classes that occur in it: [class, pixels of intersection, of union]."""


@dataclass(frozen=True, slots=True)
class SplitFrames:
    """The frames of a split that were scored."""

    keys: list[str]
    scenes: list[str]
    """The scene or drive of each frame; its key where the data set names none."""
    pixels: list[int]
    """Pixels of each frame that the protocol counts; 0 where it has no depth there."""
    metrics: dict[str, list[Number]]
    """The protocol's depth metrics, frame by frame."""
    totals: dict[str, Number]
    """What `symbio evaluate` would say of these frames, `truth_miou` and `pseudo_miou` included."""
    classes: dict[str, ClassCounts]
    """"truth" and "pseudo", where there are such labels and the network predicts classes."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The content of the file."""

    model: str
    """SHA-256 of the network's weights."""
    dataset: str
    protocol: str
    aggregation: str
    """"per-image" or "pooled", see `symbio.evaluate.protocol.Protocol`."""
    data_sha256: str
    """Of the prepared frames."""
    maps_sha256: str
    """Of the maps between label spaces."""
    splits: dict[str, SplitFrames]
    """"train" (a sample), "val" and "test"; a split without frames is left out."""


def write_frames(path: Path, frames: Frames) -> None:
    """Write the file, whole; NaN and infinities are refused (ValueError)."""
    # In one line: thousands of frames, a line for each number, would be read by nobody.
    text = json.dumps(asdict(frames), sort_keys=True, allow_nan=False, separators=(",", ":"))
    with whole_file(path) as aside:
        aside.write_text(text + "\n", encoding="utf-8")


def read_frames(path: Path) -> Frames:
    """Read the file.

    Raises:
        SymbioError: it is missing, or is not what `write_frames` wrote.
    """
    values = read_json(path, "the scores of single frames")
    try:
        splits = {name: _split(split) for name, split in values["splits"].items()}
        return Frames(**{**values, "splits": splits})
    except (KeyError, TypeError, AttributeError) as error:
        raise SymbioError(
            f"{path}: does not hold the scores of single frames ({error}); remove it, and the "
            "study's command measures the network again"
        ) from error


def _split(values: Mapping[str, object]) -> SplitFrames:
    classes = values["classes"]
    if not isinstance(classes, dict):
        raise TypeError("classes: no mapping")
    counts = {kind: ClassCounts(**one) for kind, one in classes.items()}
    return SplitFrames(**{**values, "classes": counts})  # type: ignore[arg-type]
