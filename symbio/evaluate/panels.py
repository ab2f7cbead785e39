"""One frame in six pictures: image, truth, prediction, error, and semantics beside its labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.classes import palette
from symbio.data.images import resize_labels, resize_rgb
from symbio.evaluate.examples import Example, Source
from symbio.evaluate.predictors import Predictor
from symbio.evaluate.protocol import Protocol
from symbio.pictures import colour_classes, colour_depth, error_map, grid, labelled, legend

Picture = NDArray[np.uint8]

_MAX_HEIGHT, _MAX_WIDTH = 240, 400
_NEAREST_SHOWN_M = 0.5


def panel(
    predict: Predictor,
    source: Source,
    protocol: Protocol,
    key: str,
    max_depth_m: float,
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
    # Truth and prediction share one scale, and so do all frames of all runs of a data set.
    scale = (_NEAREST_SHOWN_M, max_depth_m)
    depths = [
        labelled(resize_rgb(image, size), "image"),
        labelled(colour_depth(_mean_of_cells(truth, valid, size), *scale), "depth: truth"),
        labelled(colour_depth(_mean_of_cells(depth, depth == depth, size), *scale), "predicted"),
    ]
    error_picture = error_map(1.0 + error, known.astype(np.float32))
    last_row = [labelled(error_picture, "error: white 0, red 50 % and more")]
    last_row += _semantics(source, example, guess.classes, size)
    last_row += [np.full_like(last_row[0], 255)] * (3 - len(last_row))
    picture = grid([depths, last_row])
    return _with_legend(picture, guess.classes, source.space.predicted.names)


def _semantics(
    source: Source, example: Example, classes: torch.Tensor | None, size: tuple[int, int]
) -> list[Picture]:
    """Labels and prediction in one label space: the teacher's, or the truth's without one."""
    if classes is None:
        return []
    predicted = classes[0].cpu().numpy()
    if example.pseudo is not None:
        labels, what, colours = example.pseudo, "classes: teacher", palette()
    elif example.truth is not None:
        labels, what, colours = example.truth, "classes: truth", palette(len(source.space.names))
        predicted = source.space.from_predicted[predicted]
    else:
        return [_class_picture(predicted, size, palette(), "classes: predicted")]
    seen = example.view.of(labels).numpy()
    return [
        _class_picture(seen, size, colours, what),
        _class_picture(predicted, size, colours, "classes: predicted"),
    ]


def _class_picture(
    classes: NDArray[np.uint8], size: tuple[int, int], colours: Picture, text: str
) -> Picture:
    return labelled(colour_classes(resize_labels(classes, size), colours), text)


def _with_legend(picture: Picture, classes: torch.Tensor | None, names: Sequence[str]) -> Picture:
    if classes is None:
        return picture
    strip = legend(classes[0].cpu().numpy(), names, picture.shape[1])
    return np.vstack([picture, strip])


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
