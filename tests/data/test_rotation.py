from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from symbio.data.classes import IGNORE
from symbio.data.frame import Batch
from symbio.data.rotation import Turn, rotate, window_at, window_size
from tests.data.mixing_cases import equal, frames


def places(size: tuple[int, int], angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the turned frame comes from: row and column, float64 (H, W)."""
    down, right = (
        axis + 0.5 - length / 2
        for axis, length in zip(np.indices(size).astype(float), size, strict=True)
    )
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rows, columns = right * sine + down * cosine, right * cosine - down * sine
    return rows + size[0] / 2, columns + size[1] / 2


def clear(size: tuple[int, int], angle: float, pixels: float) -> np.ndarray:
    """Which places are farther than `pixels` from where one nearest pixel gives way to the next."""
    rows, columns = places(size, angle)
    result = np.abs(rows - rows.round()) > pixels
    result &= np.abs(columns - columns.round()) > pixels
    assert result.mean() > 0.95
    return result


def whole(angle: float, size: tuple[int, int]) -> Turn:
    return Turn(angle, size, (0, 0), (0, 0))


@pytest.mark.parametrize(
    ("size", "angle"),
    [
        ((40, 48), 2.5),
        ((41, 47), -2.5),
        ((120, 161), 1.0),
        ((33, 64), 30.0),
        ((64, 33), -45.0),
        ((88, 304), 0.3),
        ((20, 30), 0.0),
    ],
)
def test_turns_as_pil_does(size: tuple[int, int], angle: float) -> None:
    batch = frames(5, size, 2)
    turned = rotate(batch, [whole(angle, size)] * 2, size)
    for row in range(2):
        image = Image.fromarray(batch.image[row].permute(1, 2, 0).numpy())
        expected = np.asarray(image.rotate(angle, Image.Resampling.BILINEAR), int)
        # PIL cuts the fraction off, here it is rounded.
        difference = turned.image[row].permute(1, 2, 0).numpy() - expected
        # PIL steps from pixel to pixel in 1 / 65536, so that its error grows along a row.
        certain = clear(size, angle, 0.005) if angle else np.s_[...]
        assert set(np.unique(difference[certain])) <= {0, 1}
        for field, blank in (("depth", 0), ("semantic", IGNORE), ("confidence", 0)):
            plane = Image.fromarray(getattr(batch, field)[row].numpy())
            expected = np.asarray(plane.rotate(angle, fillcolor=blank))
            found = getattr(turned, field)[row].numpy()
            assert np.array_equal(found[certain], expected[certain]), field


@pytest.mark.parametrize("angle", [2.5, -1.0, 0.3])
def test_the_nearest_pixel_at_full_size(angle: float) -> None:
    size = (480, 640)
    number = torch.arange(480 * 640, dtype=torch.float32).view(1, *size)
    blank = torch.zeros(1, *size, dtype=torch.uint8)
    batch = Batch(blank[:, None].repeat(1, 3, 1, 1), number, blank, blank + 1, ("numbers",))
    turned = rotate(batch, [whole(angle, size)], size)
    rows, columns = (np.floor(place).astype(int) for place in places(size, angle))
    inside = (rows >= 0) & (rows < 480) & (columns >= 0) & (columns < 640)
    certain = clear(size, angle, 4e-5)
    assert np.array_equal((turned.confidence[0].numpy() == 1)[certain], inside[certain])
    expected = np.where(inside, rows * 640 + columns, 0)
    assert np.array_equal(turned.depth[0].numpy()[certain], expected[certain])


def test_turned_ramps_are_ramps() -> None:
    """Bilinear interpolation of a linear function is that function."""
    size, angle = (90, 200), 7.0
    rows, columns = torch.meshgrid(torch.arange(90), torch.arange(200), indexing="ij")
    image = torch.stack([rows, columns, rows + columns // 2]).to(torch.uint8)
    blank = torch.zeros(1, *size, dtype=torch.uint8)
    batch = Batch(image[None], blank.float() + 1.0, blank, blank, ("ramp",))
    turned = rotate(batch, [whole(angle, size)], size)
    row, column = map(torch.from_numpy, places(size, angle))
    inner = (row > 1) & (row < 89) & (column > 1) & (column < 199)
    assert inner.float().mean() > 0.7
    assert (turned.image[0, 0] - (row - 0.5))[inner].abs().max() < 0.51
    assert (turned.image[0, 1] - (column - 0.5))[inner].abs().max() < 0.51


def test_a_crop_needs_no_more_than_its_window() -> None:
    """Crops of windows are the crops of whole turned frames, bit for bit."""
    rng = np.random.default_rng(0)
    for case in range(80):
        size = (int(rng.integers(20, 90)), int(rng.integers(20, 90)))
        crop = (int(rng.integers(1, size[0] + 1)), int(rng.integers(1, size[1] + 1)))
        largest = float(rng.choice([0.5, 2.5, 10.0, 45.0]))
        angle = float(rng.choice([-largest, largest, rng.uniform(-largest, largest)]))
        corner = tuple(int(rng.integers(0, s - c + 1)) for s, c in zip(size, crop, strict=True))
        read = window_size(crop, largest, size)
        top, left = window_at(angle, corner, crop, read, size)
        batch = frames(case, size, 1)
        piece = Batch(
            batch.image[..., top : top + read[0], left : left + read[1]],
            batch.depth[:, top : top + read[0], left : left + read[1]],
            batch.semantic[:, top : top + read[0], left : left + read[1]],
            batch.confidence[:, top : top + read[0], left : left + read[1]],
            batch.keys,
        )
        assert piece.depth.shape[-2:] == read
        result = rotate(piece, [Turn(angle, size, corner, (top, left))], crop)
        rows, columns = (slice(c, c + n) for c, n in zip(corner, crop, strict=True))
        all_of_it = rotate(batch, [whole(angle, size)], size)
        expected = Batch(
            all_of_it.image[..., rows, columns],
            all_of_it.depth[:, rows, columns],
            all_of_it.semantic[:, rows, columns],
            all_of_it.confidence[:, rows, columns],
            batch.keys,
        )
        assert equal(result, expected), (size, crop, angle, corner)


def test_windows_of_the_peers_crops() -> None:
    assert window_size((416, 544), 2.5, (480, 640)) == (443, 565)
    assert window_size((352, 1120), 1.0, (352, 1216)) == (352, 1129)
    assert window_size((416, 544), 0.0, (480, 640)) == (416, 544)
