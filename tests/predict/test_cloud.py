"""Point clouds, read back by a reader that knows PLY only from its header."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from symbio.errors import SymbioError
from symbio.predict.cloud import focal_length, write_ply

TYPES = {"float": "f", "uchar": "B"}


def read_ply(path: Path) -> list[tuple]:
    header, body = path.read_bytes().split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[0] == "ply"
    assert "format binary_little_endian 1.0" in lines
    properties = [line.split() for line in lines if line.startswith("property")]
    assert [name for _, _, name in properties] == ["x", "y", "z", "red", "green", "blue"]
    layout = "<" + "".join(TYPES[kind] for _, kind, _ in properties)
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    assert len(body) == count * struct.calcsize(layout)
    return list(struct.iter_unpack(layout, body))


def test_points_project_back_onto_their_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (5, 8, 3), np.uint8)
    depth = rng.uniform(1, 9, (5, 8)).astype(np.float32)
    assert write_ply(tmp_path / "a.ply", image, depth, focal_px=6.5) == 40
    points = iter(read_ply(tmp_path / "a.ply"))
    for row in range(5):
        for column in range(8):
            x, y, z, *colour = next(points)
            assert z == depth[row, column]
            assert x / z * 6.5 + 8 / 2 - 0.5 == pytest.approx(column, abs=1e-4)
            assert y / z * 6.5 + 5 / 2 - 0.5 == pytest.approx(row, abs=1e-4)
            assert colour == image[row, column].tolist()


def test_pixels_without_depth_have_no_point(tmp_path: Path) -> None:
    depth = np.array([[1.0, 0.0, np.nan, np.inf]], np.float32)
    assert write_ply(tmp_path / "a.ply", np.zeros((1, 4, 3), np.uint8), depth, 1.0) == 1
    assert len(read_ply(tmp_path / "a.ply")) == 1


def test_the_focal_length_scales_with_the_picture() -> None:
    assert focal_length({"dataset": "nyu"}, 640, None) == pytest.approx(518.8579)
    assert focal_length({"dataset": "kitti"}, 2484, None) == pytest.approx(2 * 721.5377)
    assert focal_length({}, 640, 700.0) == 700.0


@pytest.mark.parametrize("given", [0.0, -3.0, float("nan"), float("inf")])
def test_an_impossible_focal_length_is_refused(given: float) -> None:
    with pytest.raises(SymbioError, match="--focal"):
        focal_length({"dataset": "nyu"}, 640, given)


def test_an_unknown_camera_needs_a_focal_length() -> None:
    with pytest.raises(SymbioError, match="--focal"):
        focal_length({"dataset": "mine"}, 640, None)
