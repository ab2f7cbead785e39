"""Decoding is strict and exact; resizing keeps measurements apart."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from symbio.data import codec
from symbio.data.images import decode_depth, decode_labels, decode_planes, decode_rgb, encode_png
from symbio.data.resize import resize_depth, resize_labels, resize_rgb
from symbio.errors import SymbioError

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
DEPTH = RNG.integers(0, 65536, (37, 53), dtype=np.uint16)


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_png_is_lossless_for_other_readers() -> None:
    assert (np.asarray(Image.open(io.BytesIO(encode_png(RGB)))) == RGB).all()
    stored = cv2.imdecode(np.frombuffer(encode_png(DEPTH), np.uint8), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    assert (stored == DEPTH).all()


def test_depth_of_every_writer_keeps_its_16_bits() -> None:
    assert (decode_depth(_saved(Image.fromarray(DEPTH), "PNG"), "x") == DEPTH).all()
    assert (decode_depth(encode_png(DEPTH), "x") == DEPTH).all()
    wide = Image.fromarray(DEPTH.astype(np.int32))
    assert (decode_depth(_saved(wide, "TIFF"), "x") == DEPTH).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_saved(Image.fromarray(DEPTH.astype(np.uint8)), "PNG"), "a.png: .*16-bit.*'L'"),
        (_saved(Image.fromarray(RGB), "PNG"), "a.png: .*16-bit.*'RGB'"),
        (encode_png(DEPTH)[:-2000], "a.png: cannot be decoded"),
        (b"", "a.png: cannot be decoded"),
    ],
)
def test_wrong_depth_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(SymbioError, match=message):
        decode_depth(data, "a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated_picture_is_refused(kind: str) -> None:
    data = _saved(Image.fromarray(RGB), kind)
    assert decode_rgb(data, "a").shape == RGB.shape
    with pytest.raises(SymbioError, match="a: cannot be decoded"):
        decode_rgb(data[: len(data) // 2], "a")


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA"])
def test_other_modes_are_refused(mode: str) -> None:
    data = _saved(Image.fromarray(RGB).convert(mode), "TIFF")
    with pytest.raises(SymbioError, match=f"mode '{mode}'"):
        decode_rgb(data, "a")


def test_colours_of_16_bits_are_refused() -> None:
    wide = RNG.integers(0, 65536, (37, 53, 3)).astype(np.uint16)
    data = cv2.imencode(".png", wide)[1].tobytes()
    assert Image.open(io.BytesIO(data)).mode == "RGB", "Pillow hides it"
    with pytest.raises(SymbioError, match="a: expected an 8-bit RGB image, found 16 bits"):
        decode_rgb(data, "a")


@pytest.mark.parametrize("kind", ["png", "jpg", "map"])
def test_planes_of_a_window_are_those_of_the_picture(kind: str) -> None:
    form = {"png": "PNG", "jpg": "JPEG"}
    stored = _saved(Image.fromarray(RGB), form[kind]) if kind in form else codec.encode(RGB)
    whole = decode_rgb(stored, "a")
    planes = decode_planes(stored, "a", (3, 30, 7, 50))
    assert planes.shape == (3, 27, 43)
    assert np.array_equal(planes, whole[3:30, 7:50].transpose(2, 0, 1))
    with pytest.raises(SymbioError, match=r"^a: .*37x53"):
        decode_planes(stored, "a", (0, 38, 0, 53))


@pytest.mark.parametrize("stored", [encode_png(DEPTH), codec.encode(DEPTH)])
def test_a_window_of_depth_is_cut_from_it(stored: bytes) -> None:
    assert np.array_equal(decode_depth(stored, "a", (1, 20, 2, 53)), DEPTH[1:20, 2:53])


def test_maps_of_another_kind_are_refused() -> None:
    with pytest.raises(SymbioError, match="a: expected an 8-bit RGB image, found uint16"):
        decode_rgb(codec.encode(DEPTH), "a")
    with pytest.raises(SymbioError, match="a: expected a depth map, found 3 channels"):
        decode_depth(codec.encode(RGB), "a")
    with pytest.raises(SymbioError, match="a: expected a 16-bit depth map, found uint8"):
        decode_depth(codec.encode(RGB[..., 0]), "a")
    with pytest.raises(SymbioError, match="a: expected a label map, found 3 channels"):
        decode_labels(codec.encode(RGB), "a")


def test_labels_keep_both_widths() -> None:
    assert decode_labels(codec.encode(DEPTH), "a").dtype == np.uint16
    assert decode_labels(codec.encode(RGB[..., 0]), "a").dtype == np.uint8
    assert decode_labels(encode_png(DEPTH), "a").dtype == np.uint16
    assert decode_labels(encode_png(RGB[..., 0].copy()), "a").dtype == np.uint8


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_smaller_depth_is_the_nearest_measurement_of_each_cell(data: Any) -> None:
    height, width = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    size = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    depth = (rng.integers(0, 65536, (height, width)) * rng.integers(0, 2, (height, width))).astype(
        np.uint16
    )
    small = resize_depth(depth, size)
    rows = [i * height // size[0] for i in range(size[0])] + [height]
    columns = [j * width // size[1] for j in range(size[1])] + [width]
    for i in range(size[0]):
        for j in range(size[1]):
            cell = depth[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
            measured = cell[cell > 0]
            assert small[i, j] == (measured.min() if measured.size else 0)


def test_labels_are_never_invented() -> None:
    labels = RNG.choice(np.array([3, 77, 255], np.uint8), (40, 60))
    for size in [(10, 15), (7, 11), (80, 90)]:
        small = resize_labels(labels, size)
        assert small.shape == size
        assert set(np.unique(small)) <= {3, 77, 255}
    assert (resize_labels(labels, (40, 60)) == labels).all()


def test_shrinking_a_picture_averages() -> None:
    small = resize_rgb(RGB[:36, :52], (9, 13))
    plain = RGB[:36, :52].reshape(9, 4, 13, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - plain).max() <= 0.51
