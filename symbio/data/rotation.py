"""Rotation of windows of frames, in whole numbers: every device computes the same bits.

A frame is turned about its centre as `PIL.Image.rotate` does without `expand`: counter-clockwise,
same size, and what comes from outside the frame is blank. Only a window of the frame is needed
for a crop of the turned frame; `window_at` says which.

Shapes: B windows of one size, H rows, W columns; crop h rows, w columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symbio.data.classes import IGNORE
from symbio.data.frame import Batch

Size = tuple[int, int]

# Places are fixed-point numbers with 16 binary digits after the point, 32-bit integers: exact on
# every device, and within 4e-5 pixels of the place meant.
_DIGITS = 16
_ONE = 1 << _DIGITS
# Sine and cosine have more digits, as they are multiplied by thousands of pixels.
_FINE_DIGITS = 32
# Bilinear weights have 11 digits, so that two of them times a colour fit into 32 bits.
_WEIGHT_DIGITS = 11


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the pixels of one crop come from."""

    angle: float
    """Degrees, counter-clockwise."""
    size: Size
    """(H, W) of the whole frame, pixels."""
    corner: tuple[int, int]
    """Row and column of the crop's first pixel in the turned frame."""
    window: tuple[int, int]
    """Row and column of the window's first pixel in the frame."""


def window_size(crop: Size, largest: float, size: Size) -> Size:
    """(H, W) of the windows that hold every crop of frames turned by up to `largest` degrees.

    Never larger than the frame's `size`; the crop itself at 0 degrees.
    """
    if largest == 0.0:
        return crop
    return (
        min(size[0], _reach(crop[0], crop[1], largest)),
        min(size[1], _reach(crop[1], crop[0], largest)),
    )


def window_at(angle: float, corner: tuple[int, int], crop: Size, window: Size, size: Size) -> Size:
    """Row and column where the window of a crop of the turned frame starts in the frame.

    Args:
        angle: degrees, counter-clockwise, at most the `largest` that `window` was made for.
        corner: first row and column of the crop in the turned frame.
        crop: its (H, W).
        window: from `window_size`.
        size: (H, W) of the frame.
    """
    if angle == 0.0 and window == crop:
        return corner
    down = corner[0] + crop[0] / 2 - size[0] / 2
    right = corner[1] + crop[1] / 2 - size[1] / 2
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    centre = (
        size[0] / 2 + right * sine + down * cosine,
        size[1] / 2 + right * cosine - down * sine,
    )
    return (
        _start(centre[0], window[0], size[0]),
        _start(centre[1], window[1], size[1]),
    )


def rotate(batch: Batch, turns: list[Turn], crop: Size) -> Batch:
    """The crops of B turned frames, from windows of them.

    Colours are interpolated bilinearly, the rest is taken from the nearest pixel, so that no
    depth or class is made up. Blank is black, no measurement, ignored, confidence 0.

    Args:
        batch: B windows (H, W).
        turns: where each crop comes from; its window holds what the crop needs.
        crop: (h, w).

    Returns:
        B frames of the crop's size.
    """
    height, width = batch.depth.shape[-2:]
    rows, columns, inside = _sources(turns, crop, batch.depth.device)
    nearest = _flat_index(
        (rows >> _DIGITS).clamp(0, height - 1), (columns >> _DIGITS).clamp(0, width - 1), batch
    )

    def picked(field: Tensor, blank: int) -> Tensor:
        found = field.flatten().index_select(0, nearest).view_as(inside)
        return found.masked_fill(~inside, blank)

    return replace(
        batch,
        image=_bilinear(batch, rows, columns) * inside[:, None],
        depth=picked(batch.depth, 0),
        semantic=picked(batch.semantic, IGNORE),
        confidence=picked(batch.confidence, 0),
    )


def _reach(along: int, across: int, largest: float) -> int:
    """Pixels that a side of a turned rectangle spans, with one more each way to interpolate."""
    steepest = min(math.radians(largest), math.atan2(across, along))
    return math.ceil(along * math.cos(steepest) + across * math.sin(steepest)) + 3


def _start(centre: float, length: int, whole: int) -> int:
    return min(max(math.floor(centre - length / 2), 0), whole - length)


def _sources(turns: list[Turn], crop: Size, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns in the windows, fixed-point int32 (B, h, w), and whether in the frame."""

    def each(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)[:, None]

    def fixed(values: Tensor) -> Tensor:
        return (values >> (_FINE_DIGITS - _DIGITS)).int()

    cosine = each([round(math.cos(math.radians(t.angle)) * 2**_FINE_DIGITS) for t in turns])
    sine = each([round(math.sin(math.radians(t.angle)) * 2**_FINE_DIGITS) for t in turns])
    # Twice the way from the frame's centre to a pixel's centre is a whole number of pixels.
    down = torch.arange(crop[0], device=device) * 2 + 1
    down = down + each([2 * t.corner[0] - t.size[0] for t in turns])
    right = torch.arange(crop[1], device=device) * 2 + 1
    right = right + each([2 * t.corner[1] - t.size[1] for t in turns])
    middle_row = each([t.size[0] - 2 * t.window[0] for t in turns]) << (_FINE_DIGITS - 1)
    middle_column = each([t.size[1] - 2 * t.window[1] for t in turns]) << (_FINE_DIGITS - 1)
    # A place is a sum of what the crop's row gives and what its column gives.
    rows = fixed((down * cosine >> 1) + middle_row)[:, :, None] + fixed(right * sine >> 1)[:, None]
    columns = (
        fixed((right * cosine >> 1) + middle_column)[:, None] - fixed(down * sine >> 1)[:, :, None]
    )
    inside = _between(rows, [(-t.window[0], t.size[0] - t.window[0]) for t in turns])
    inside &= _between(columns, [(-t.window[1], t.size[1] - t.window[1]) for t in turns])
    return rows, columns, inside


def _between(places: Tensor, ends: list[tuple[int, int]]) -> Tensor:
    low, high = (torch.tensor(ends, device=places.device) << _DIGITS).int().unbind(1)
    return (places >= low[:, None, None]) & (places < high[:, None, None])


def _flat_index(rows: Tensor, columns: Tensor, batch: Batch) -> Tensor:
    """Indices of pixels (B, h, w) among all of the batch's: int64, flat."""
    num, height, width = batch.depth.shape
    first = torch.arange(num, device=rows.device)[:, None, None] * (height * width)
    return (rows * width + columns + first).flatten()


def _bilinear(batch: Batch, rows: Tensor, columns: Tensor) -> Tensor:
    """Colours uint8 (B, 3, h, w) at fixed-point places; the edges' colours go on outwards."""
    height, width = batch.depth.shape[-2:]
    top, below = _neighbours(rows, height)
    left, beside = _neighbours(columns, width)
    index = _flat_index(top, left, batch)
    above, before = (1 << _WEIGHT_DIGITS) - below, (1 << _WEIGHT_DIGITS) - beside
    weights = (above * before, above * beside, below * before, below * beside)
    # The three colours of a pixel are fetched as one number. Past the last column or row the
    # weight is 0, so any pixel may be fetched there, but one there must be.
    red, green, blue = batch.image.int().unbind(1)
    packed = (red | green << 8 | blue << 16).flatten()
    packed = torch.nn.functional.pad(packed, (0, width + 1))
    pixels = [
        packed[step:].index_select(0, index).view_as(rows) for step in (0, 1, width, width + 1)
    ]
    colours = []
    for shift in (0, 8, 16):
        total = torch.full_like(rows, 1 << (2 * _WEIGHT_DIGITS - 1))
        for pixel, weight in zip(pixels, weights, strict=True):
            total.addcmul_((pixel >> shift) & 255, weight)
        colours.append((total >> (2 * _WEIGHT_DIGITS)).to(torch.uint8))
    return torch.stack(colours, 1)


def _neighbours(places: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The last pixel whose centre is not beyond a place, and the next one's weight, int32."""
    places = (places - (_ONE >> 1)).clamp(0, (length - 1) << _DIGITS)
    return places >> _DIGITS, (places & (_ONE - 1)) >> (_DIGITS - _WEIGHT_DIGITS)
