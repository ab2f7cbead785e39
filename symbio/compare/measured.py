"""A measurement read: scores, tables, pictures."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.data.classes import class_space
from symbio.evaluate.paired import Frames
from symbio.search.frames import FRAMES_FILE, ClassCounts, SplitFrames, read_frames
from symbio.tracking.scores import PICTURES, TABLES

_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class Range:
    """Pixels whose true depth lies in a range, pooled over the frames."""

    pixels: int
    values: dict[str, float]
    """abs_rel, rmse (m), d1."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of one measurement; what was not kept is None, or empty."""

    metrics: dict[str, Any]
    """As in metrics/{d}.json."""
    frames: Frames | None
    iou: dict[tuple[str, str], float] | None
    """("truth" or "pseudo", class) -> intersection over union."""
    ranges: dict[tuple[float, float], Range] | None
    """Ends of a range, metres -> what lies in it."""
    pictures: dict[str, Path]
    """Name of a picture -> where it is."""


def read_measured(metrics: dict[str, Any], folder: Path) -> Measured:
    """Read what `tracking.measurements.fetch_tables` has put into `folder`.

    Raises:
        SymbioError: a trial's frames are garbled.
    """
    pictures = {path.name: path for path in sorted(folder.glob(f"{PICTURES}/*.png"))}
    if (folder / FRAMES_FILE).is_file():
        split = read_frames(folder / FRAMES_FILE).splits[_SPLIT]
        return Measured(metrics, _frames_of_trial(split), _iou_of_trial(split), None, pictures)
    per_image, per_class, ranges = (_rows(folder / name) for name in TABLES)
    return Measured(
        metrics,
        None if per_image is None else {row["key"]: row for row in per_image},
        None if per_class is None else {
            (row["labels"], row["name"]): float(row["iou"]) for row in per_class
        },
        None if ranges is None else _ranges(ranges),
        pictures,
    )  # fmt: skip


def _rows(path: Path) -> list[dict[str, str]] | None:
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _ranges(rows: list[dict[str, str]]) -> dict[tuple[float, float], Range]:
    return {
        (float(row["from_m"]), float(row["to_m"])): Range(
            int(float(row["pixels"])),
            {name: float(row[name]) for name in ("abs_rel", "rmse", "d1")},
        )
        for row in rows
        if row["predictor"] == "trained"
    }


def _frames_of_trial(split: SplitFrames) -> Frames:
    """In the columns of per_image.csv."""
    return {
        key: {
            "key": key,
            "pixels": str(split.pixels[place]),
            **{f"trained_{name}": _text(values[place]) for name, values in split.metrics.items()},
        }
        for place, key in enumerate(split.keys)
    }


def _text(value: float | None) -> str:
    return "nan" if value is None else repr(value)


def _iou_of_trial(split: SplitFrames) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for labels, counts in split.classes.items():
        names = class_space(counts.space).names
        found |= {(labels, names[label]): iou for label, iou in _iou(counts).items()}
    return found


def _iou(counts: ClassCounts) -> dict[int, float]:
    hits: dict[int, int] = defaultdict(int)
    union: dict[int, int] = defaultdict(int)
    for frame in counts.counts:
        for label, hit, either in frame:
            hits[label] += hit
            union[label] += either
    return {label: hits[label] / union[label] for label in sorted(union)}
