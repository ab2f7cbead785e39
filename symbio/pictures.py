"""Pictures of depth and semantics: uint8 (H, W, 3) RGB arrays."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import IGNORE
from symbio.data.classes import palette as class_palette

Picture = NDArray[np.uint8]
_TEXT_PX = 12


def colour_depth(depth: NDArray[np.floating], min_m: float, max_m: float) -> Picture:
    """Depth (H, W) in metres on one fixed scale: near is red, far is blue, no value is black.

    The scale is logarithmic, so that near structure shows beside an 80 m street.
    """
    low, high = np.log(max(min_m, 0.1)), np.log(max_m)
    known = np.isfinite(depth) & (depth > 0)
    logs = np.log(np.where(known, depth, max_m))
    place = np.clip((high - logs) / (high - low), 0.0, 1.0)
    colours: Picture = _ramp()[np.round(place * 255).astype(np.uint8)]
    colours[~known] = 0
    return colours


def error_map(
    prediction: NDArray[np.floating], truth: NDArray[np.floating], worst: float = 0.5
) -> Picture:
    """Relative depth error (H, W): white is 0, red at `worst` and above, black has no truth."""
    known = truth > 0
    share = np.abs(prediction - truth) / np.where(known, truth, 1.0) / worst
    share = np.clip(np.nan_to_num(share, nan=1.0, posinf=1.0), 0.0, 1.0)
    picture = np.empty((*truth.shape, 3), np.uint8)
    picture[..., 0] = 255 - np.round(55 * share)
    picture[..., 1] = picture[..., 2] = np.round(255 * (1.0 - share))
    picture[~known] = 0
    return picture


def colour_classes(classes: NDArray[np.integer], colours: Picture | None = None) -> Picture:
    """Class ids (H, W) in the palette's colours; 255 (ignore) is black."""
    colours = class_palette() if colours is None else colours
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    table[IGNORE] = 0
    picture: Picture = table[np.minimum(classes, IGNORE)]
    return picture


def overlay(image: Picture, classes: NDArray[np.integer], strength: float = 0.55) -> Picture:
    """`image` (H, W, 3) tinted by the classes (H, W); ignored pixels stay as they are."""
    mixed = (1.0 - strength) * image + strength * colour_classes(classes)
    mixed = np.where((classes == IGNORE)[..., None], image, mixed)
    return np.round(mixed).astype(np.uint8)


def legend(
    classes: NDArray[np.integer],
    names: Sequence[str],
    width: int,
    colours: Picture | None = None,
    first: Sequence[int] = (),
    lines: int | None = None,
) -> Picture:
    """A strip (h, width, 3) naming the classes present, most frequent first.

    Args:
        classes: any shape; 255 (ignore) is not named.
        names: of the classes.
        width: of the strip, pixels.
        colours: (len(names), 3); None: the palette's.
        first: classes to name before the others, in this order, whether they are present or not.
        lines: how many, whatever there is to name; None: as many as that takes.
    """
    counts = np.bincount(classes[classes != IGNORE].ravel(), minlength=len(names))
    present = [int(c) for c in np.argsort(-counts, kind="stable") if counts[c]]
    named = list(dict.fromkeys([*first, *present]))
    cell_w, cell_h = 130, 20
    columns = max(1, width // cell_w)
    rows = max(1, -(-len(named) // columns)) if lines is None else lines
    strip = np.full((rows * cell_h, width, 3), 255, np.uint8)
    colours = class_palette() if colours is None else colours
    for place, label in enumerate(named[: rows * columns]):
        x, y = place % columns * cell_w, place // columns * cell_h
        strip[y + 4 : y + 16, x + 4 : x + 18] = colours[label]
        _write(strip, names[label], x + 22, y + 15)
    return strip


def labelled(picture: Picture, text: str) -> Picture:
    """`picture` under a white strip with `text`."""
    strip = np.full((18, picture.shape[1], 3), 255, np.uint8)
    _write(strip, text, 4, 13)
    return np.vstack([strip, picture])


def grid(rows: Sequence[Sequence[Picture]], gap: int = 4) -> Picture:
    """Pictures in rows and columns on white; those of a column are brought to one width."""
    widths = [min(p.shape[1] for p in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        sized = [_to_width(p, w) for p, w in zip(row, widths, strict=True)]
        height = max(p.shape[0] for p in sized)
        cells = [
            np.pad(p, ((0, height - len(p)), (0, gap), (0, 0)), constant_values=255) for p in sized
        ]
        lines.append(np.pad(np.hstack(cells), ((0, gap), (0, 0), (0, 0)), constant_values=255))
    return np.vstack(lines)


def _to_width(picture: Picture, width: int) -> Picture:
    if picture.shape[1] == width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    sized: Picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return sized


def _write(picture: Picture, text: str, x: int, y: int) -> None:
    cv2.putText(
        picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, _TEXT_PX / 30, (0, 0, 0), 1, cv2.LINE_AA
    )


@functools.cache
def _ramp() -> Picture:
    """256 colours, blue to red (OpenCV's turbo), as RGB."""
    bgr = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_TURBO)
    return np.ascontiguousarray(np.reshape(bgr, (256, 3))[:, ::-1])
