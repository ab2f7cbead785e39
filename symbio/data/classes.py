"""Label spaces and the maps between them.

Every teacher and network speaks ADE20K (150 classes, in OneFormer's order, from 0). Ground truth
speaks the data set's own language: NYU's 894 names or Cityscapes' label ids. Both are mapped to
the space in which people score: NYU40 and the 19 Cityscapes train ids.

`maps/ade20k.csv` holds our ADE20K -> NYU40 table (there is no standard one: it follows the public
table of bbetula/Dense-Object-level-Mapping, and ids that it leaves out are ignored) and our
ADE20K -> Cityscapes table; `maps/nyu894.csv` the 894 names with their NYU40 class
(ankurhanda/nyuv2-meta-data, classMapping40).
"""

from __future__ import annotations

import colorsys
import csv
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from symbio.data.frame import IGNORE, NUM_CLASSES

_MAPS = Path(__file__).with_name("maps")

NYU40 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
    "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror",
    "floor mat", "clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel",
    "shower curtain", "box", "whiteboard", "person", "night stand", "toilet", "sink", "lamp",
    "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip
"""NYU40 names; class 0 here is id 1 of the data set's own 1..40."""

CITYSCAPES19 = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip
"""Cityscapes train ids."""

CITYSCAPES_TRAIN_IDS: Mapping[int, int] = MappingProxyType({
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
})  # fmt: skip
"""Cityscapes label id -> train id (cityscapesScripts, labels.py)."""


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """A space in which semantics are scored."""

    name: str
    names: tuple[str, ...]
    from_ade20k: NDArray[np.uint8]
    """(256,): ADE20K class -> class here; 255 = no counterpart."""
    from_truth: NDArray[np.uint8]
    """(65536,): stored ground-truth id -> class here; 255 = not scored."""

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(len(names),): whether some ADE20K class maps to this class."""
        return np.isin(np.arange(len(self.names)), self.from_ade20k)


@functools.cache
def ade20k_names() -> tuple[str, ...]:
    """The 150 class names, in order."""
    return tuple(row["name"] for row in _rows("ade20k.csv"))


@functools.cache
def nyu894_names() -> tuple[str, ...]:
    """The 894 names of the labelled NYU file; name i belongs to label id i + 1."""
    return tuple(row["name"] for row in _rows("nyu894.csv"))


@functools.cache
def label_space(truth: str) -> LabelSpace:
    """The scoring space of a prepared data set's `label_space` header.

    Args:
        truth: "nyu894" (scored in NYU40), "cityscapes" (in 19 train ids) or "ade20k".
    """
    if truth == "ade20k":
        identity = _table(256, {i: i for i in range(NUM_CLASSES)})
        return LabelSpace("ade20k", ade20k_names(), identity, _widen(identity))
    column, names = {"nyu894": ("nyu40", NYU40), "cityscapes": ("cityscapes19", CITYSCAPES19)}[
        truth
    ]
    base = 1 if truth == "nyu894" else 0
    ade = {int(r["ade20k"]): int(r[column]) - base for r in _rows("ade20k.csv") if r[column]}
    own = (
        {int(row["nyu894"]): int(row["nyu40"]) - 1 for row in _rows("nyu894.csv")}
        if truth == "nyu894"
        else dict(CITYSCAPES_TRAIN_IDS)
    )
    return LabelSpace(column, names, _table(256, ade), _table(65536, own))


def maps_sha256() -> str:
    """SHA-256 of the mapping files: recorded with every number that went through them."""
    digest = hashlib.sha256()
    for path in sorted(_MAPS.glob("*.csv")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def palette(count: int = NUM_CLASSES) -> NDArray[np.uint8]:
    """Colours (count, 3), well apart for neighbouring ids; the same for every picture we make."""
    golden = 0.618033988749895
    colours = [
        colorsys.hsv_to_rgb(
            (0.07 + i * golden) % 1.0, 0.45 + 0.5 * (i % 3) / 2, 0.95 - 0.2 * (i % 4) / 3
        )
        for i in range(count)
    ]
    return np.round(np.array(colours) * 255).astype(np.uint8)


def _rows(name: str) -> list[dict[str, str]]:
    with (_MAPS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _table(size: int, entries: Mapping[int, int]) -> NDArray[np.uint8]:
    table = np.full(size, IGNORE, dtype=np.uint8)
    for source, target in entries.items():
        table[source] = target
    table.setflags(write=False)
    return table


def _widen(table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _table(65536, dict(enumerate(table.tolist())))
