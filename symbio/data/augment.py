"""Augmentation of training frames, batched on the device: crop, flip, colour.

Shapes: B frames, H rows, W columns. Ranges follow the peers' recipes (BTS, AdaBins, NeWCRFs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.draws import rng_for
from symbio.data.frame import Batch
from symbio.errors import SymbioError
from symbio.params import AugmentParams

GAMMA = (0.9, 1.1)
CHANNEL = (0.9, 1.1)


@dataclass(frozen=True, slots=True)
class Draw:
    """What happens to one frame."""

    flip: bool
    top: int
    """First row of the crop, pixels."""
    left: int
    """First column of the crop, pixels, before any flip."""
    colour: bool
    gamma: float
    brightness: float
    channels: NDArray[np.float64]
    """float64 (3,): factors of red, green and blue."""


def augment_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """The generator of the augmentation at one position of the global order."""
    return rng_for(seed, "augment", epoch, position)


def augment(batch: Batch, rngs: Sequence[np.random.Generator], params: AugmentParams) -> Batch:
    """Crop, flip and recolour B frames, each by draws of its own.

    Crop and flip move image, depth, class and confidence alike; nothing is resampled. Colour
    (gamma U(.9, 1.1), then brightness U(`params.brightness`), then each channel U(.9, 1.1))
    changes the image only. Everything is drawn and tabulated on the host, so that the result
    depends neither on the device nor on how a batch is split.

    Args:
        batch: B frames.
        rngs: fresh generators, row i from `augment_rng(seed, epoch, position of row i)`.
        params: probabilities, brightness range and crop size.

    Returns:
        B frames of the crop's size with the same keys; `batch` is left as it is.

    Raises:
        SymbioError: `train.augment.crop` is larger than the frames.
    """
    assert len(rngs) == len(batch), "one generator a frame"
    height, width = batch.depth.shape[-2:]
    crop = params.crop or (height, width)
    if crop[0] > height or crop[1] > width:
        raise SymbioError(
            f"train.augment.crop: {crop[0]}x{crop[1]} pixels do not fit into frames of "
            f"{height}x{width}; lower it, or raise the data set's image_size"
        )
    draws = [draw(rng, (height, width), crop, params) for rng in rngs]
    if crop != (height, width):
        batch = _moved(batch, lambda field: _crop(field, draws, crop))
    flips = [row for row, drawn in enumerate(draws) if drawn.flip]
    if flips:
        index = torch.tensor(flips, device=batch.depth.device)
        batch = _moved(batch, lambda field: _flip(field, index))
    if any(drawn.colour for drawn in draws):
        tables = torch.from_numpy(np.stack([colour_table(drawn) for drawn in draws]))
        batch = replace(batch, image=_recolour(batch.image, tables.to(batch.image.device)))
    return batch


def draw(
    rng: np.random.Generator, size: tuple[int, int], crop: tuple[int, int], params: AugmentParams
) -> Draw:
    """Draw what happens to one frame of `size` (H, W).

    Always takes the same numbers from `rng`, so that switching one augmentation off, or
    another crop, leaves the others as they were.
    """
    chance = rng.random(9)
    return Draw(
        flip=bool(chance[0] < params.flip),
        top=int(chance[1] * (size[0] - crop[0] + 1)),
        left=int(chance[2] * (size[1] - crop[1] + 1)),
        colour=bool(chance[3] < params.colour),
        gamma=_between(GAMMA, chance[4]),
        brightness=_between(params.brightness, chance[5]),
        channels=np.array([_between(CHANNEL, share) for share in chance[6:9]]),
    )


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


def _crop(field: Tensor, draws: Sequence[Draw], crop: tuple[int, int]) -> Tensor:
    windows = [
        field[row, ..., drawn.top : drawn.top + crop[0], drawn.left : drawn.left + crop[1]]
        for row, drawn in enumerate(draws)
    ]
    return torch.stack(windows)


def _flip(field: Tensor, index: Tensor) -> Tensor:
    return field.index_copy(0, index, field.index_select(0, index).flip(-1))


def _recolour(image: Tensor, tables: Tensor) -> Tensor:
    """Look up uint8 (B, 3, H, W) in uint8 (B, 3, 256)."""
    return tables.gather(2, image.flatten(2).long()).view_as(image)
