"""dataset.yaml: what the files of a data set of one's own are, and what their numbers mean.

    splits:
      train: {image: "train/{scene}/{frame}.jpg", depth: "train/{scene}/{frame}.png"}
      test: {list: test.txt}
    depth: {scale: 1000, range: [0.3, 12.0]}

docs/custom-data.md tells every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from symbio.data.classes import NO_LABELS, own_space
from symbio.errors import SymbioError
from symbio.params.section import Section, parse_section, read_yaml

NAME = "dataset.yaml"
SCENE, FRAME = "{scene}", "{frame}"
_PLACE = re.compile(r"\{[^{}]*\}|[{}]")
_STORED = 65535
"""Largest stored depth value."""
_SCALES = (1000, 256, 100)
"""Units a metre in which depth from .npy is stored: the finest that holds the range."""

Metres = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Pixels = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class SplitFiles(Section):
    """The files of one split: by patterns, or named one by one in a list."""

    image: str | None = None
    """Path below the folder with {frame}, and {scene} if frames have scenes: an 8-bit RGB PNG or
    a JPEG."""
    depth: str | None = None
    """The same of depth: a 16-bit PNG, or a .npy of metres."""
    labels: str | None = None
    """The same of labels: a PNG of class ids; a frame may lack it."""
    list: str | None = None
    """A file with a line a frame: image, depth and, where the frame has them, labels."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        patterns = {"image": self.image, "depth": self.depth, "labels": self.labels}
        given = {name: text for name, text in patterns.items() if text is not None}
        if self.list is not None:
            if given:
                raise ValueError(f"give list, or image and depth; found list and {min(given)}")
            self._refuse_outside({"list": self.list})
            return self
        if self.image is None or self.depth is None:
            raise ValueError("needs image and depth (patterns), or list (a file)")
        self._refuse_outside(given)
        for name, text in given.items():
            strange = [place for place in _PLACE.findall(text) if place not in (SCENE, FRAME)]
            if strange:
                raise ValueError(f"{name}: {strange[0]!r} in {text!r}; allowed: {SCENE}, {FRAME}")
            if FRAME not in text:
                raise ValueError(f"{name}: {text!r} has no {FRAME}, so all frames would be one")
            if SCENE in text and SCENE not in self.image:
                raise ValueError(f"{name}: has {SCENE}, which image ({self.image!r}) has not")
        return self

    def _refuse_outside(self, paths: Mapping[str, str]) -> None:
        for name, text in paths.items():
            if not is_below(text):
                raise ValueError(f"{name}: {text!r} must be a path below the folder of {NAME}")


class Splits(Section):
    """Which frames are for what."""

    train: SplitFiles
    val: SplitFiles | None = None
    """None: `val_share` of the training frames is held out, by whole scenes."""
    test: SplitFiles


class DepthFiles(Section):
    """What the numbers in the depth files mean."""

    range: tuple[Metres, Metres]
    """Smallest and largest depth that the sensor measures; anything else is no measurement."""
    scale: Annotated[int, Field(ge=1, le=_STORED)] | None = None
    """Units a metre in the 16-bit PNGs."""
    invalid: tuple[Annotated[int, Field(ge=0, le=_STORED)], ...] = ()
    """Values of the PNGs, besides 0, that mean no measurement."""

    @model_validator(mode="after")
    def _holds(self) -> Self:
        low, high = self.range
        if low >= high:
            raise ValueError(f"range needs low < high, found {low:g} and {high:g}")
        if high * self.stored_scale > _STORED:
            raise ValueError(
                f"range ends at {high:g} m, but 16 bits hold {_STORED / self.stored_scale:g} m at "
                f"{self.stored_scale} units a metre; give the range that the files have"
            )
        return self

    @property
    def stored_scale(self) -> int:
        """Units a metre of the shards: those of the PNGs, else the finest that holds the range."""
        fitting = (one for one in _SCALES if self.range[1] * one <= _STORED)
        return self.scale or next(fitting, _SCALES[-1])


class CameraFile(Section):
    """The camera, if all pictures are of one."""

    width: Annotated[int, Field(ge=1)]
    """Of the pictures (pixels) for which the other numbers hold; they are scaled to others."""
    fx: Pixels
    fy: Pixels
    cx: Pixels
    cy: Pixels


class LabelFiles(Section):
    """What the ids in the label files mean."""

    space: Literal["none", "ade20k", "nyu40", "cityscapes"] | None = None
    names: dict[Annotated[int, Field(ge=0, le=_STORED)], str] = Field(default_factory=dict)
    """Id -> name of a class; ids of one name are one class. 0 and 255 mean no label unless they
    are named."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.space is None) == (not self.names):
            raise ValueError("give space, or names (id: name)")
        # Refuses what cannot be a name.
        if self.names:
            try:
                own_space(self.names)
            except SymbioError as error:
                raise ValueError(f"names: {error}") from error
        return self

    @property
    def label_space(self) -> str:
        """As the shards' header says it."""
        return self.space or own_space(self.names)


class DatasetFile(Section):
    """The file as a whole."""

    splits: Splits
    depth: DepthFiles
    labels: LabelFiles = LabelFiles(space="none")
    camera: CameraFile | None = None

    @model_validator(mode="after")
    def _labels_mean_something(self) -> Self:
        named = [s for s in (self.splits.train, self.splits.val, self.splits.test) if s is not None]
        if self.labels.label_space == NO_LABELS and any(one.labels for one in named):
            raise ValueError("splits name label files; say what their ids mean: labels.space")
        return self


def read_dataset_file(raw: Path) -> DatasetFile:
    """The checked dataset.yaml of a folder.

    Raises:
        SymbioError: it is missing, is no YAML, or a key is unknown, mistyped or contradicts
            another; the message names the file and every such key.
    """
    path = raw / NAME
    hint = "it says what the files of the folder are (docs/custom-data.md)"
    return parse_section(DatasetFile, read_yaml(path, hint), str(path))


def is_below(path: str) -> bool:
    """Whether a path, as text with /, is relative and does not lead out of where it begins."""
    plain = PurePosixPath(path)
    return bool(path.strip()) and not (plain.is_absolute() or ".." in plain.parts or "\\" in path)
