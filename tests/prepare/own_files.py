"""Writes a small data set of one's own: pictures of coloured walls, depth, labels, dataset.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

SIZE = (48, 64)
SCALE = 2000
NAMES = {1: "wall", 2: "floor", 7: "gizmo"}

PATTERNS: dict[str, Any] = {
    "splits": {
        split: {
            "image": f"{split}/{{scene}}/{{frame}}_rgb.png",
            "depth": f"{split}/{{scene}}/depth/{{frame}}.png",
            "labels": f"{split}/{{scene}}/{{frame}}_labels.png",
        }
        for split in ("train", "test")
    },
    "depth": {"scale": SCALE, "range": [0.5, 12.0], "invalid": [65535]},
    "labels": {"names": NAMES},
    "camera": {"width": 64, "fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5},
}
"""A dataset.yaml for what `write_frames` writes."""


def room(number: int) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8]]:
    """Image uint8 (48, 64, 3), depth in metres (48, 64), class ids uint8 (48, 64)."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    far = rng.uniform(2.0, 9.0)
    floor = rows > rng.integers(20, 34)
    gizmo = np.hypot(rows - rng.integers(12, 36), columns - rng.integers(12, 52)) < 8
    metres = np.where(floor, far * 24 / np.maximum(rows, 24), far)
    metres = np.where(gizmo, 1.5, metres)
    labels = np.where(gizmo, 7, np.where(floor, 2, 1)).astype(np.uint8)
    colours = rng.integers(0, 256, (8, 3))
    image = colours[labels] / (0.5 + metres[..., None] / 4) + rng.normal(0, 6, (*SIZE, 3))
    return np.clip(image, 0, 255).astype(np.uint8), metres, labels


def write_frames(raw: Path, train: int = 9, test: int = 3) -> None:
    """Write frames, three a scene; one pixel of each is a hole and one is beyond the sensor."""
    for split, count, first in (("train", train, 0), ("test", test, 1000)):
        for number in range(count):
            scene = raw / split / f"room_{number // 3}"
            (scene / "depth").mkdir(parents=True, exist_ok=True)
            image, metres, labels = room(first + number)
            units = np.rint(metres * SCALE).astype(np.uint16)
            units[0, 0], units[0, 1] = 0, 65535
            Image.fromarray(image).save(scene / f"{number:03d}_rgb.png")
            Image.fromarray(units).save(scene / "depth" / f"{number:03d}.png")
            Image.fromarray(labels).save(scene / f"{number:03d}_labels.png")


def write_dataset_file(raw: Path, values: dict[str, Any] | None = None) -> None:
    """Write dataset.yaml: `PATTERNS`, or other values."""
    text = yaml.safe_dump(PATTERNS if values is None else values, sort_keys=False)
    (raw / "dataset.yaml").write_text(text, encoding="utf-8")
