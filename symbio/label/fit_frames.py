"""Frames that a sample teacher is fitted on: rendered, in neither of the sample's data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.draws import rng_for
from symbio.files import whole_file
from symbio.progress import track

Picture = NDArray[np.uint8]
Labels = NDArray[np.uint8]

WORLDS = ("rooms", "streets")
STREAM = "teacher"
"""The random stream of these frames; the sample's data sets draw from others."""
REDUCTION = 4
"""Frames are seen this much smaller than the data sets' own size."""
_RAYS = 2
"""Rendered pixels along each side of a seen pixel: what is seen is antialiased."""
_FULL = {"rooms": (480, 640), "streets": (376, 1240)}
_INSIDE = (slice(7, 474), slice(7, 632))
"""What NYU's border leaves of a frame."""
_CHUNK = 50


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one world in memory."""

    image: NDArray[np.uint8]
    """(N, H, W, 3) RGB."""
    label: NDArray[np.uint8]
    """(N, H, W) ADE20K class."""

    def __len__(self) -> int:
        return len(self.image)


def render(world: str, seed: int, index: int, divisor: int = 1) -> tuple[Picture, Labels]:
    """One frame of the teacher's stream at 1/divisor of the full size.

    Returns:
        uint8 (H, W, 3) RGB, rooms without NYU's border, and uint8 (H, W) ADE20K class.
    """
    rng = rng_for(seed, f"{STREAM}-{world}", index)
    height, width = (side // divisor for side in _FULL[world])
    if world == "streets":
        from symbio.sample.calibration import RIGS
        from symbio.sample.streets import render_street

        camera = RIGS[index % len(RIGS)].intrinsics.scaled(1 / divisor, 1 / divisor)
        street = render_street(rng, height, width, camera)
        return street.image, street.semantic
    from symbio.sample.rooms import render_room

    room = render_room(rng, height, width)
    return room.image, room.semantic


def render_chunk(world: str, seed: int, chunk: int) -> Frames:
    """Frames chunk * 50 ... of the stream at the size that the teacher sees."""
    images, labels = [], []
    for index in range(chunk * _CHUNK, (chunk + 1) * _CHUNK):
        image, label = render(world, seed, index, REDUCTION // _RAYS)
        height, width = label.shape[0] // _RAYS, label.shape[1] // _RAYS
        images.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        labels.append(label[1::_RAYS, 1::_RAYS][:height, :width])
    return Frames(np.stack(images).astype(np.uint8), np.stack(labels).astype(np.uint8))


def load_or_render(world: str, seed: int, num_frames: int, cache: Path) -> Frames:
    """The first `num_frames` of a world's stream; chunks in `cache` are not rendered again."""
    parts = []
    chunks = range((num_frames + _CHUNK - 1) // _CHUNK)
    for chunk in track(chunks, f"frames of {world}", total=len(chunks)):
        path = cache / f"{world}-{seed}-{chunk:04d}.npz"
        if not path.is_file():
            frames = render_chunk(world, seed, chunk)
            with whole_file(path) as aside, aside.open("wb") as file:
                np.savez(file, image=frames.image, label=frames.label)
        with np.load(path, allow_pickle=False) as stored:
            parts.append(Frames(stored["image"], stored["label"]))
    image = np.concatenate([part.image for part in parts])[:num_frames]
    label = np.concatenate([part.label for part in parts])[:num_frames]
    return Frames(image, label)


def split(frames: Frames, held_out: int) -> tuple[Frames, Frames]:
    """(the rest, the first `held_out` frames): the latter are never trained on."""
    return (
        Frames(frames.image[held_out:], frames.label[held_out:]),
        Frames(frames.image[:held_out], frames.label[:held_out]),
    )


def to_tensors(frames: Frames, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Float images 0..1 (B, 3, H, W) and labels (B, H, W) of the given frames."""
    image = torch.from_numpy(frames.image[rows]).permute(0, 3, 1, 2).float() / 255
    return image, torch.from_numpy(frames.label[rows]).long()


def with_border(image: Tensor, value: Tensor) -> Tensor:
    """Images (B, 3, H, W) of rooms with NYU's border in a grey value (B, 1, 1, 1), 0..1.

    Official frames have a white border, and the training code of the field blackens it. Shrunk
    frames show it in part of a pixel.
    """
    full = np.ones(_FULL["rooms"], np.float32)
    full[_INSIDE] = 0
    height, width = image.shape[-2:]
    share = torch.from_numpy(cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA))
    return torch.lerp(image, value.expand_as(image), share)


def augment(
    image: Tensor, label: Tensor, rng: np.random.Generator, border: bool
) -> tuple[Tensor, Tensor]:
    """Flip, light, colour, sharpness, noise and, if asked for, a border, drawn for each frame."""
    batch = len(image)

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (batch, channels, 1, 1))).float()

    flip = torch.from_numpy(rng.random(batch) < 0.5)
    image = torch.where(flip[:, None, None, None], image.flip(-1), image)
    label = torch.where(flip[:, None, None], label.flip(-1), label)
    smooth = torch.nn.functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
    image = image + (smooth - image) * draw(-0.3, 0.5)
    image = image.clamp(0, 1) ** torch.exp(draw(-0.25, 0.25))
    image = image * draw(0.75, 1.25) * draw(0.93, 1.07, 3)
    noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
    image = (image + noise * draw(0.0, 0.02)).clamp(0, 1)
    if border:
        kind = draw(0.0, 1.0)
        framed = with_border(image, (kind > 0.8).float())
        image = torch.where(kind < 0.15, image, framed)
    return image, label
