"""Label spaces and the maps between them.

Every teacher speaks ADE20K (150 classes, in OneFormer's order, from 0), and a network speaks it
too, or the space that `labels.space` names. Ground truth speaks the data set's own language: NYU's
894 names or Cityscapes' label ids. Both are mapped to the space in which people score: NYU40 and
the 19 Cityscapes train ids, or the coarser NYU13 where the network predicts no more.

`maps/ade20k.csv` holds our ADE20K -> NYU40 table (there is no standard one: it follows the public
table of bbetula/Dense-Object-level-Mapping, and ids that it leaves out are ignored) and our
ADE20K -> Cityscapes table; `maps/nyu894.csv` the 894 names with their NYU40 class
(ankurhanda/nyuv2-meta-data, classMapping40; NYU40 -> NYU13 is its class13Mapping).
"""

from __future__ import annotations

import colorsys
import csv
import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from symbio.errors import SymbioError

IGNORE = 255
"""Semantic class of a pixel that has no label."""

NUM_CLASSES = 150
"""Classes of ADE20K, the label space of every teacher, and of networks unless `labels.space`."""

_MAPS = Path(__file__).with_name("maps")

NYU40 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
    "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror",
    "floor mat", "clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel",
    "shower curtain", "box", "whiteboard", "person", "night stand", "toilet", "sink", "lamp",
    "bathtub", "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip
"""NYU40 names; class 0 here is id 1 of the data set's own 1..40."""

NYU13 = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa",
    "table", "tv", "wall", "window",
)  # fmt: skip
"""NYU13 names; class 0 here is id 1 of the published 1..13."""

NYU13_OF_NYU40 = (
    12, 5, 6, 1, 4, 9, 10, 12, 13, 6, 8, 6, 13, 10, 6, 13, 6, 7, 7, 5,
    7, 3, 2, 6, 11, 7, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 7, 7, 6, 7,
)  # fmt: skip
"""NYU13 id (from 1) of the NYU40 ids 1..40."""

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


ADE20K = "ade20k"
"""The space of every teacher."""

NO_LABELS = "none"
"""The label space of a data set without labels: nothing of it is scored."""

_NUM_IDS = {"nyu894": 895, "nyu40": 41, "cityscapes": 34, ADE20K: NUM_CLASSES, NO_LABELS: 0}
"""Ids from 0 that a label space has."""

_OWN = "names:"
"""Begins the label space of a data set's own classes: names:1=wall,2=floor."""
_OWN_NAME = re.compile(r"[^\s,=](?:[^,=\r\n]*[^\s,=])?")
_MOST_OWN = 254

_SPACES = {"nyu40": NYU40, "nyu13": NYU13, "cityscapes19": CITYSCAPES19}


@dataclass(frozen=True, slots=True)
class ClassSpace:
    """The classes that a network predicts."""

    name: str
    names: tuple[str, ...]
    from_ade20k: NDArray[np.uint8]
    """(256,): ADE20K class, as teachers give it -> class here; 255 = no counterpart."""


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """A space in which the semantics of a network are scored."""

    name: str
    names: tuple[str, ...]
    from_ade20k: NDArray[np.uint8]
    """(256,): ADE20K class -> class here; 255 = no counterpart."""
    from_truth: NDArray[np.uint8]
    """(65536,): stored ground-truth id -> class here; 255 = not scored."""
    predicted: ClassSpace
    """What the network predicts."""
    from_predicted: NDArray[np.uint8]
    """(256,): the network's class -> class here; 255 = no counterpart."""

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(len(names),): whether some ADE20K class maps to this class, so that it can be learnt."""
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
def class_space(name: str) -> ClassSpace:
    """The space that `labels.space` or a model's card names.

    Raises:
        SymbioError: there is no such space.
    """
    if name == ADE20K:
        return ClassSpace(name, ade20k_names(), _identity(NUM_CLASSES))
    if name == "nyu13":
        return ClassSpace(name, NYU13, _nyu13()[class_space("nyu40").from_ade20k])
    if name.startswith(_OWN):
        names = tuple(dict.fromkeys(_own_names(name).values()))
        places = {label.casefold(): place for place, label in enumerate(names)}
        same = {
            number: places[label.casefold()]
            for number, label in enumerate(ade20k_names())
            if label.casefold() in places
        }
        return ClassSpace(name, names, _table(256, same))
    if name not in _SPACES:
        raise SymbioError(f"no space of classes {name!r}; there are {ADE20K}, {', '.join(_SPACES)}")
    # NYU40 counts from 1 in the file, as its authors do.
    first = 1 if name == "nyu40" else 0
    rows = [row for row in _rows("ade20k.csv") if row[name]]
    entries = {int(row["ade20k"]): int(row[name]) - first for row in rows}
    return ClassSpace(name, _SPACES[name], _table(256, entries))


@functools.cache
def label_space(truth: str, predicted: str = ADE20K) -> LabelSpace:
    """The scoring space of a prepared data set's `label_space` header.

    Networks that speak ADE20K and those that speak NYU40 are both scored in NYU40, and so can be
    compared; one that speaks NYU13 is scored in NYU13.

    Args:
        truth: "nyu894" and "nyu40" (scored in NYU40), "cityscapes" (in 19 train ids), "ade20k",
            "none" (nothing is scored), or what `own_space` gives (in those classes).
        predicted: the space of the network's classes.

    Raises:
        SymbioError: nothing maps the truth to what the network predicts.
    """
    own, from_truth = _own_space(truth)
    spoken = class_space(predicted)
    if predicted == ADE20K:
        to_own = own.from_ade20k
        return LabelSpace(own.name, own.names, to_own, from_truth, spoken, to_own)
    table = _coarser(own, spoken)
    if table is None:
        fitting = [one for one in _SPACES if _coarser(own, class_space(one)) is not None]
        raise SymbioError(
            f"labels.space: classes of {predicted} cannot be compared with ground truth in "
            f"{own.name}; give {' or '.join([ADE20K, *fitting])}"
        )
    identity = _identity(len(spoken.names))
    return LabelSpace(
        predicted, spoken.names, spoken.from_ade20k, table[from_truth], spoken, identity
    )


def own_space(names: Mapping[int, str]) -> str:
    """The label space of a data set's own classes: stored id -> name, ids of one name one class.

    What is equal in name to a class of ADE20K, in small or capital letters, has it as counterpart.

    Raises:
        SymbioError: a name is empty or has a comma, an equals sign or a line's end, two names
            differ in capitals only, or there are too many.
    """
    for number, label in names.items():
        if not _OWN_NAME.fullmatch(label):
            raise SymbioError(f"class {number}: {label!r} is no name; leave out , = and blank ends")
    distinct = set(names.values())
    if len({label.casefold() for label in distinct}) < len(distinct):
        raise SymbioError("two names of classes differ in capital letters only")
    if len(distinct) > _MOST_OWN:
        raise SymbioError(f"{len(distinct)} names of classes; at most {_MOST_OWN} are possible")
    return _OWN + ",".join(f"{number}={names[number]}" for number in sorted(names))


@functools.cache
def known_ids(truth: str) -> NDArray[np.bool_]:
    """(65536,): ids that ground truth of a label space may hold, those of unlabelled pixels too."""
    known = np.zeros(65536, np.bool_)
    if truth.startswith(_OWN):
        known[list(_own_names(truth))] = True
    else:
        known[: _NUM_IDS[truth]] = True
    known[[0, IGNORE]] = True
    known.setflags(write=False)
    return known


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


def _own_space(truth: str) -> tuple[ClassSpace, NDArray[np.uint8]]:
    """The finest space in which a truth is scored, and (65536,) stored id -> class there."""
    if truth == ADE20K:
        return class_space(ADE20K), _widen(class_space(ADE20K).from_ade20k)
    if truth == "nyu894":
        ids = {int(row["nyu894"]): int(row["nyu40"]) - 1 for row in _rows("nyu894.csv")}
        return class_space("nyu40"), _table(65536, ids)
    if truth == "nyu40":
        return class_space("nyu40"), _table(65536, {place + 1: place for place in range(40)})
    if truth == NO_LABELS:
        return class_space(ADE20K), _table(65536, {})
    if truth.startswith(_OWN):
        own = class_space(truth)
        stored = _own_names(truth)
        return own, _table(65536, {number: own.names.index(stored[number]) for number in stored})
    return class_space("cityscapes19"), _table(65536, CITYSCAPES_TRAIN_IDS)


def _own_names(space: str) -> dict[int, str]:
    """Stored id -> name, of a label space that `own_space` gave."""
    pairs = (one.split("=") for one in space.removeprefix(_OWN).split(","))
    return {int(number): label for number, label in pairs}


def _coarser(own: ClassSpace, other: ClassSpace) -> NDArray[np.uint8] | None:
    """(256,): class of `own` -> class of `other`; None where there is no such map."""
    if own.name == ADE20K:
        return other.from_ade20k
    if own.name == other.name:
        return _identity(len(own.names))
    return _nyu13() if (own.name, other.name) == ("nyu40", "nyu13") else None


def _nyu13() -> NDArray[np.uint8]:
    """(256,): NYU40 class -> NYU13 class, both from 0."""
    return _table(256, {place: label - 1 for place, label in enumerate(NYU13_OF_NYU40)})


def _identity(count: int) -> NDArray[np.uint8]:
    return _table(256, {label: label for label in range(count)})


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
