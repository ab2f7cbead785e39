"""Augmentation of training frames: rotation, crop, CutDepth, flip, colour.

All is drawn on the host, which then cuts from each frame only the window that its draw reads;
pixels are moved and recoloured batched on the device.

Shapes: B frames, H rows, W columns. Ranges follow the peers' recipes (BTS, AdaBins, NeWCRFs;
docs/training.md has the table).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.cutdepth import Box, cut_box, paste_depth
from symbio.data.draws import rng_for
from symbio.data.frame import Batch
from symbio.data.rotation import Turn, rotate, window_at
from symbio.data.rotation import window_size as rotation_window
from symbio.errors import SymbioError
from symbio.params import AugmentParams

GAMMA = (0.9, 1.1)
CHANNEL = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Draw:
    """What happens to one frame."""

    flip: bool
    top: int
    """First row of the crop, pixels, in the rotated frame."""
    left: int
    """First column of the crop, pixels, in the rotated frame, before any flip."""
    colour: bool
    gamma: float
    brightness: float
    channels: NDArray[np.float64]
    """float64 (3,): factors of red, green and blue."""
    angle: float
    """Degrees, counter-clockwise, about the frame's centre."""
    cut: Box | None
    """Where CutDepth shows depth: pixels of the crop, before any flip. None: nowhere."""
    window: Box
    """Which pixels of the frame are read; `window_size` high and wide."""
    size: tuple[int, int]
    """(H, W) of the whole frame, pixels."""


def augment_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """The generator of the augmentation at one position of the global order."""
    return rng_for(seed, "augment", epoch, position)


def window_size(params: AugmentParams, size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of what one draw reads of frames of `size`: the crop, and what turning it needs.

    The same for all draws of a run, so that windows can be stacked.

    Raises:
        SymbioError: `train.augment.crop` is larger than the frames.
    """
    return rotation_window(crop_size(params, size), params.rotation, size)


def crop_size(params: AugmentParams, size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of augmented frames, made from frames of `size`.

    Raises:
        SymbioError: `train.augment.crop` is larger than the frames.
    """
    crop = params.crop or size
    if crop[0] > size[0] or crop[1] > size[1]:
        raise SymbioError(
            f"train.augment.crop: {crop[0]}x{crop[1]} pixels do not fit into frames of "
            f"{size[0]}x{size[1]}; lower it, or raise the data set's image_size"
        )
    return crop


def draw(
    rng: np.random.Generator, size: tuple[int, int], crop: tuple[int, int], params: AugmentParams
) -> Draw:
    """Draw what happens to one frame of `size` (H, W).

    Always takes the same numbers from `rng`, so that switching one augmentation off, or
    another crop, leaves the others as they were.
    """
    chance = rng.random(15)
    corner = (
        int(chance[1] * (size[0] - crop[0] + 1)),
        int(chance[2] * (size[1] - crop[1] + 1)),
    )
    angle = _between((-params.rotation, params.rotation), chance[9])
    cutdepth = params.cutdepth
    cut = None
    if cutdepth is not None and chance[10] < cutdepth.probability:
        cut = cut_box(crop, chance[11:15].tolist(), cutdepth.extent)
    read = rotation_window(crop, params.rotation, size)
    top, left = window_at(angle, corner, crop, read, size)
    return Draw(
        flip=bool(chance[0] < params.flip),
        top=corner[0],
        left=corner[1],
        colour=bool(chance[3] < params.colour),
        gamma=_between(GAMMA, chance[4]),
        brightness=_between(params.brightness, chance[5]),
        channels=np.array([_between(CHANNEL, share) for share in chance[6:9]]),
        angle=angle,
        cut=cut,
        window=(top, top + read[0], left, left + read[1]),
        size=size,
    )


def augment(batch: Batch, rngs: Sequence[np.random.Generator], params: AugmentParams) -> Batch:
    """Augment B whole frames, each by draws of its own.

    Args:
        batch: B frames.
        rngs: fresh generators, row i from `augment_rng(seed, epoch, position of row i)`.
        params: what may happen, and how often.

    Returns:
        B frames of the crop's size with the same keys; `batch` is left as it is.

    Raises:
        SymbioError: `train.augment.crop` is larger than the frames.
    """
    assert len(rngs) == len(batch), "one generator a frame"
    height, width = batch.depth.shape[-2:]
    size = (height, width)
    crop = crop_size(params, size)
    draws = [draw(rng, size, crop, params) for rng in rngs]
    if window_size(params, size) != size:
        batch = _moved(batch, lambda field: _windows(field, draws))
    return augment_windows(batch, draws, params)


def augment_windows(batch: Batch, draws: Sequence[Draw], params: AugmentParams) -> Batch:
    """Augment windows of B frames: turn and crop, CutDepth, flip, recolour.

    Turning, crop and flip move image, depth, class and confidence alike (`rotate` says how
    pixels are found). CutDepth and colour (gamma U(.9, 1.1), then brightness
    U(`params.brightness`), then each channel U(.9, 1.1)) change the image only. Everything is
    drawn and tabulated on the host, so that the result depends neither on the device nor on how
    a batch is split.

    Args:
        batch: of frame i the pixels that `draws[i].window` names.
        draws: one a frame, of one size.
        params: that they were drawn with.

    Returns:
        B frames of the crop's size with the same keys; `batch` is left as it is.
    """
    assert len(draws) == len(batch), "one draw a frame"
    wanted = window_size(params, draws[0].size)
    assert batch.depth.shape[-2:] == wanted, "windows as drawn"
    if params.rotation:
        turns = [
            Turn(drawn.angle, drawn.size, (drawn.top, drawn.left), drawn.window[::2])
            for drawn in draws
        ]
        batch = rotate(batch, turns, crop_size(params, draws[0].size))
    if params.cutdepth and any(drawn.cut for drawn in draws):
        batch = replace(batch, image=_cut(batch, draws, params.cutdepth.white_m))
    flips = [row for row, drawn in enumerate(draws) if drawn.flip]
    if flips:
        index = torch.tensor(flips, device=batch.depth.device)
        batch = _moved(batch, lambda field: _flip(field, index))
    if any(drawn.colour for drawn in draws):
        tables = torch.from_numpy(np.stack([colour_table(drawn) for drawn in draws]))
        batch = replace(batch, image=_recolour(batch.image, tables.to(batch.image.device)))
    return batch


def colour_table(drawn: Draw) -> NDArray[np.uint8]:
    """uint8 (3, 256): the new value of each channel's every value, the identity if not drawn."""
    levels = np.arange(256)
    if not drawn.colour:
        return np.tile(levels.astype(np.uint8), (3, 1))
    shades = np.power(levels / 255.0, drawn.gamma) * drawn.brightness * drawn.channels[:, None]
    return np.rint(shades.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * float(share)


def _moved(batch: Batch, move: Callable[[Tensor], Tensor]) -> Batch:
    """Apply one movement of pixels to every field."""
    return Batch(
        move(batch.image),
        move(batch.depth),
        move(batch.semantic),
        move(batch.confidence),
        batch.keys,
    )


def _windows(field: Tensor, draws: Sequence[Draw]) -> Tensor:
    boxes = [drawn.window for drawn in draws]
    return torch.stack(
        [
            field[row, ..., top:bottom, left:right]
            for row, (top, bottom, left, right) in enumerate(boxes)
        ]
    )


def _cut(batch: Batch, draws: Sequence[Draw], white_m: float) -> Tensor:
    image = batch.image.clone()
    for row, drawn in enumerate(draws):
        if drawn.cut:
            paste_depth(image[row], batch.depth[row], drawn.cut, white_m)
    return image


def _flip(field: Tensor, index: Tensor) -> Tensor:
    return field.index_copy(0, index, field.index_select(0, index).flip(-1))


def _recolour(image: Tensor, tables: Tensor) -> Tensor:
    """Look up uint8 (B, 3, H, W) in uint8 (B, 3, 256)."""
    return tables.gather(2, image.flatten(2).long()).view_as(image)
