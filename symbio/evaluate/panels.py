"""One frame in six pictures: image, truth, prediction, error, and semantics beside its labels.

Panels of one frame have one size and one scale of depth and of errors, whichever network made the
prediction, and the labels' classes stand in one order: what changes is the prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.classes import palette
from symbio.data.resize import resize_labels, resize_rgb
from symbio.evaluate.examples import Example, Source
from symbio.evaluate.predictors import Predictor
from symbio.evaluate.protocol import Protocol
from symbio.pictures import colour_classes, colour_depth, error_map, grid, labelled, legend

Picture = NDArray[np.uint8]

_MAX_HEIGHT, _MAX_WIDTH = 240, 400
_SCALE_M = {"nyu": (0.5, 10.0), "kitti": (0.5, 80.0)}
"""Ends of the colour scale, metres: the data set's, and not those of a network's own range."""
_LEGEND_LINES = 3


def panel(
    predict: Predictor,
    source: Source,
    protocol: Protocol,
    key: str,
    device: torch.device | str,
) -> Picture:
    """Show what the network makes of one frame; predicts it anew. uint8 (h, w, 3)."""
    example = source.load(key)
    guess = predict(example.image[None].to(device), example.view.size)
    depth = protocol.limit(guess.depth_m[0]).cpu().numpy()
    truth = example.view.of(example.depth_m).numpy()
    valid = protocol.valid(example.view.of(example.depth_m)).numpy()
    size = _thumbnail_size(*example.view.size)
    relative = np.abs(depth - truth) / np.where(valid, truth, 1.0)
    known = _mean_of_cells(valid, valid, size) > 0
    error = _mean_of_cells(relative, valid, size)
    view = example.view
    image = example.picture[view.top : view.bottom, view.left : view.right]
    header = source.prepared.header
    near, far = _SCALE_M.get(header["dataset"]) or header["range_m"]
    depths = [
        labelled(resize_rgb(image, size), "image"),
        labelled(
            colour_depth(_mean_of_cells(truth, valid, size), near, far),
            f"depth: truth, red {near:g} m, blue {far:g} m",
        ),
        labelled(
            colour_depth(_mean_of_cells(depth, depth == depth, size), near, far),
            "depth: predicted, same colours",
        ),
    ]
    error_picture = error_map(1.0 + error, known.astype(np.float32))
    shown = _Semantics.of(source, example, guess.classes)
    last_row = [labelled(error_picture, "error: white 0, red 50 % and more"), *shown.pictures(size)]
    last_row += [np.full_like(last_row[0], 255)] * (3 - len(last_row))
    picture = grid([depths, last_row])
    return np.vstack([picture, shown.legend(picture.shape[1])])


@dataclass(frozen=True, slots=True)
class _Semantics:
    """Labels and prediction in one label space: the teacher's, or the truth's without one."""

    names: Sequence[str]
    predicted: NDArray[np.uint8] | None
    labels: NDArray[np.uint8] | None = None
    what: str = ""
    """Whose the labels are."""

    @classmethod
    def of(cls, source: Source, example: Example, classes: torch.Tensor | None) -> _Semantics:
        names = source.space.predicted.names
        if classes is None:
            return cls(names, None)
        predicted = classes[0].cpu().numpy()
        if example.pseudo is not None:
            return cls(names, predicted, example.view.of(example.pseudo).numpy(), "teacher")
        if example.truth is not None:
            labels = example.view.of(example.truth).numpy()
            in_space = source.space.from_predicted[predicted]
            return cls(source.space.names, in_space, labels, "truth")
        return cls(names, predicted)

    def pictures(self, size: tuple[int, int]) -> list[Picture]:
        """One a map of classes."""
        maps = {f"classes: {self.what}": self.labels, "classes: predicted": self.predicted}
        return [
            labelled(colour_classes(resize_labels(classes, size), self._colours()), text)
            for text, classes in maps.items()
            if classes is not None
        ]

    def legend(self, width: int) -> Picture:
        """The labels' classes first, so that each stands where it does for other networks."""
        if self.predicted is None:
            nothing = np.array([], np.uint8)
            return legend(nothing, self.names, width, lines=_LEGEND_LINES)
        first: list[int] = []
        if self.labels is not None:
            counts = np.bincount(self.labels.ravel(), minlength=256)[: len(self.names)]
            first = [int(label) for label in np.argsort(-counts, kind="stable") if counts[label]]
        return legend(self.predicted, self.names, width, self._colours(), first, _LEGEND_LINES)

    def _colours(self) -> Picture:
        return palette(len(self.names))


def _thumbnail_size(height: int, width: int) -> tuple[int, int]:
    share = min(_MAX_HEIGHT / height, _MAX_WIDTH / width, 1.0)
    return max(1, round(height * share)), max(1, round(width * share))


def _mean_of_cells(
    values: NDArray[np.generic], known: NDArray[np.bool_], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Mean of the known values that fall into each cell of the smaller map; 0 where none does."""
    starts: Sequence[NDArray[np.int64]] = [
        np.arange(small) * large // small for small, large in zip(size, known.shape, strict=True)
    ]

    def total(array: NDArray[np.float64]) -> NDArray[np.float64]:
        by_row = np.add.reduceat(array, starts[0], axis=0)
        result: NDArray[np.float64] = np.add.reduceat(by_row, starts[1], axis=1)
        return result

    counts = total(known.astype(np.float64))
    sums = total(np.where(known, values, 0).astype(np.float64))
    return np.divide(sums, counts, out=np.zeros(size), where=counts > 0)
