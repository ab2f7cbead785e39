"""The codec loses nothing, decodes windows alone, and gives no wrong pixels for damaged bytes."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from symbio.data import codec
from symbio.errors import SymbioError

RNG = np.random.default_rng(5)
PICTURE = RNG.integers(0, 256, (70, 300, 3), dtype=np.uint8)


def _planes(values: NDArray[Any]) -> NDArray[Any]:
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_window_holds_what_was_encoded(data: Any) -> None:
    height, width = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 300))
    kind = data.draw(st.sampled_from(["picture", "labels", "dense", "sparse"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    if kind in ("picture", "labels"):
        shape = (height, width, 3) if kind == "picture" else (height, width)
        values: NDArray[Any] = rng.integers(0, 256, shape, dtype=np.uint8)
    else:
        values = rng.integers(1, 65536, (height, width)).astype(np.uint16)
        values[rng.random((height, width)) < (0.1 if kind == "dense" else 0.9)] = 0
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    stored = codec.encode(values)
    whole = codec.decode(stored, "x")
    assert whole.dtype == values.dtype
    assert np.array_equal(whole, _planes(values))
    window = codec.decode(stored, "x", (top, bottom, left, right))
    assert np.array_equal(window, _planes(values)[:, top:bottom, left:right])


def test_the_format_is_what_it_says() -> None:
    """Read anew from the description: a row of a tile is the sum of those above in its group."""
    values = RNG.integers(0, 65536, (40, 130)).astype(np.uint16)
    stored = codec.encode(values)
    magic, version, size, channels, differences, height, width, tiles = struct.unpack_from(
        "<4s4B3I", stored
    )
    assert (magic, version, size, channels, differences) == (b"SYMB", 1, 2, 1, 1)
    assert (height, width, tiles) == (40, 130, 2)
    lengths = struct.unpack_from("<2I", stored, 20)
    place, columns = 32, []
    for length in lengths:
        raw = zstandard.ZstdDecompressor().decompress(stored[place : place + length])
        place += length
        low, high = np.frombuffer(raw, np.uint8).reshape(2, 64, 65).astype(int)
        rows = low + 256 * high
        for row in range(64):
            if row % 32:
                rows[row] = (rows[row] - 128 + rows[row - 1]) % 65536
        columns.append(rows[:40])
    assert place == len(stored)
    assert np.array_equal(np.hstack(columns), values)


def test_only_the_tiles_of_the_window_are_decoded() -> None:
    stored = bytearray(codec.encode(PICTURE))
    stored[-10] ^= 1
    assert np.array_equal(
        codec.decode(bytes(stored), "x", (3, 60, 10, 200)), _planes(PICTURE)[:, 3:60, 10:200]
    )
    with pytest.raises(SymbioError, match="x: damaged: a tile cannot be decoded"):
        codec.decode(bytes(stored), "x", (3, 60, 10, 201))


def test_every_flipped_bit_is_noticed() -> None:
    stored, rng = codec.encode(PICTURE), np.random.default_rng(0)
    for number in range(300):
        damaged = bytearray(stored)
        damaged[rng.integers(40 if number % 2 else len(stored))] ^= 1 << rng.integers(8)
        with pytest.raises(SymbioError, match=r"^frame 7: "):
            codec.decode(bytes(damaged), "frame 7")


@pytest.mark.parametrize("kept", [0, 3, 19, 24, 100, -1])
def test_truncated_is_refused(kept: int) -> None:
    with pytest.raises(SymbioError, match=r"f: (truncated|damaged)"):
        codec.decode(codec.encode(PICTURE)[:kept], "f")


def test_another_version_and_a_window_outside_are_refused() -> None:
    stored = codec.encode(PICTURE)
    with pytest.raises(SymbioError, match="f: expected a map of symbio's codec, version 1.*9"):
        codec.decode(stored[:4] + b"\x09" + stored[5:], "f")
    with pytest.raises(SymbioError, match="f: rows 0:71, columns 0:300 do not lie in.*70x300"):
        codec.decode(stored, "f", (0, 71, 0, 300))


def test_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        codec.encode(PICTURE.astype(np.float32))  # type: ignore[arg-type]


def test_smooth_maps_take_less_room_than_their_values() -> None:
    rows, columns = np.mgrid[:480, :640]
    depth = (1000 + 3 * rows + columns + RNG.integers(0, 4, (480, 640))).astype(np.uint16)
    assert len(codec.encode(depth)) < depth.nbytes / 3
