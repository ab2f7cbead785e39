"""A lossless codec for prepared frames, of which a window can be decoded alone.

A map is cut into tiles: columns of about 128 pixels over the full height. In a tile each row is
stored as its difference to the row above, every 32nd row as it is, so that one addition restores
a row of all groups and tiles at once; 16-bit values are split into low and high bytes. Each tile is
one Zstandard frame with a checksum. `benchmarks/loader.py` compares it with PNG: about the same
size, a sixth of the time.

Layout, little-endian: magic, version, bytes a value, channels, 1 if rows are differences, height,
width, tiles, the length of each tile in bytes, the CRC-32 of all that, the tiles.
"""

from __future__ import annotations

import struct
import threading
import zlib
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from symbio.errors import SymbioError

MAGIC = b"SYMB"
_VERSION = 1
_HEADER = struct.Struct("<4s4B3I")
_CHECK = struct.Struct("<I")
_TILE_COLUMNS = 128
_ROWS = 32
_BIAS = 0x80
"""Added to 16-bit differences: small ones of either sign then have the same high byte."""
_LEVEL = 1

Window = tuple[int, int, int, int]
"""top, bottom, left, right; half-open, pixels."""


class _Header(NamedTuple):
    size: int
    """Bytes a value."""
    channels: int
    differences: bool
    height: int
    width: int
    tiles: int

    @property
    def columns(self) -> int:
        """Of a tile."""
        return -(-self.width // self.tiles)

    @property
    def groups(self) -> int:
        """Of `_ROWS` rows."""
        return -(-self.height // _ROWS)


def encode(values: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Encode a map; the same map always gives the same bytes.

    Args:
        values: uint8 (H, W) or (H, W, C), or uint16 (H, W).

    Raises:
        ValueError: `values` has another type.
    """
    if values.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"cannot encode {values.dtype}: expected uint8 or uint16")
    planes: NDArray[Any] = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    channels, height, width = planes.shape
    tiles = -(-width // _TILE_COLUMNS)
    # Rows that differ little from those above are the rule; where most pixels hold no
    # measurement (LiDAR), differences would double the few that do.
    differences = values.itemsize == 1 or bool(2 * np.count_nonzero(values) > values.size)
    header = _Header(values.itemsize, channels, differences, height, width, tiles)
    padded = np.pad(
        planes,
        ((0, 0), (0, header.groups * _ROWS - height), (0, tiles * header.columns - width)),
        mode="edge",
    )
    grouped = padded.reshape(channels, header.groups, _ROWS, tiles, header.columns)
    stored = np.ascontiguousarray(grouped.transpose(3, 0, 1, 2, 4))
    if differences:
        above = stored[..., :-1, :].copy()
        stored[..., 1:, :] -= above
        if header.size == 2:
            stored[..., 1:, :] += np.uint16(_BIAS)
    if header.size == 2:
        stored = np.stack([stored.astype(np.uint8), (stored >> 8).astype(np.uint8)], axis=1)
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    frames = [compressor.compress(tile.tobytes()) for tile in stored]
    head = _HEADER.pack(MAGIC, _VERSION, *header) + struct.pack(f"<{tiles}I", *map(len, frames))
    return b"".join([head, _CHECK.pack(zlib.crc32(head)), *frames])


def decode(data: bytes, source: str, window: Window | None = None) -> NDArray[Any]:
    """The map, or a window of it: only the tiles that it touches are decoded.

    Returns:
        uint8 or uint16 (C, h, w).

    Raises:
        SymbioError: damaged, or the window reaches beyond the map; the message starts with
            `source`.
    """
    header, starts = _read_header(data, source)
    top, bottom, left, right = window or (0, header.height, 0, header.width)
    if not (0 <= top < bottom <= header.height and 0 <= left < right <= header.width):
        raise SymbioError(
            f"{source}: rows {top}:{bottom}, columns {left}:{right} do not lie in a map of "
            f"{header.height}x{header.width}; prepare the data set again"
        )
    columns = header.columns
    first, last = left // columns, -(-right // columns)
    tile_bytes = header.size * header.channels * header.groups * _ROWS * columns
    stored = np.empty((last - first, tile_bytes), np.uint8)
    for tile in range(first, last):
        frame = data[starts[tile] : starts[tile + 1]]
        stored[tile - first] = _decompressed(frame, tile_bytes, source)
    values = _restored(stored, header)
    rows = values.reshape(last - first, header.channels, header.groups * _ROWS, columns)
    laid = np.ascontiguousarray(rows[:, :, top:bottom].transpose(1, 2, 0, 3))
    offset = first * columns
    return laid.reshape(header.channels, bottom - top, -1)[:, :, left - offset : right - offset]


def _read_header(data: bytes, source: str) -> tuple[_Header, list[int]]:
    """The header, and where each tile begins, and the last ends."""
    try:
        magic, version, size, channels, differences, height, width, tiles = _HEADER.unpack_from(
            data
        )
        if magic != MAGIC or version != _VERSION:
            raise SymbioError(
                f"{source}: expected a map of symbio's codec, version {_VERSION}, found "
                f"{magic!r}, version {version}; prepare the data set again"
            )
        end = _HEADER.size + 4 * tiles
        lengths = struct.unpack_from(f"<{tiles}I", data, _HEADER.size)
        if _CHECK.unpack_from(data, end) != (zlib.crc32(data[:end]),):
            raise SymbioError(f"{source}: damaged: its header does not match its checksum")
    except struct.error as error:
        raise SymbioError(f"{source}: truncated: {len(data)} bytes hold no header") from error
    starts = [end + _CHECK.size]
    for length in lengths:
        starts.append(starts[-1] + length)
    if starts[-1] != len(data):
        raise SymbioError(
            f"{source}: truncated or damaged: has {len(data)} bytes, its header says {starts[-1]}"
        )
    return _Header(size, channels, bool(differences), height, width, tiles), starts


_OF_THREAD = threading.local()
"""A decompressor may not be used by two threads at once, and costs as much as a tile to make."""


def _decompressed(frame: bytes, size: int, source: str) -> NDArray[np.uint8]:
    try:
        found = zstandard.frame_content_size(frame)
        if found != size:
            raise SymbioError(f"{source}: damaged: a tile holds {found} bytes, expected {size}")
        if not hasattr(_OF_THREAD, "decompressor"):
            _OF_THREAD.decompressor = zstandard.ZstdDecompressor()
        return np.frombuffer(_OF_THREAD.decompressor.decompress(frame), np.uint8)
    except zstandard.ZstdError as error:
        raise SymbioError(f"{source}: damaged: a tile cannot be decoded ({error})") from error


def _restored(stored: NDArray[np.uint8], header: _Header) -> NDArray[Any]:
    """(tiles, channels, groups, rows, columns) of the map's own type."""
    shape = (len(stored), header.channels, header.groups, _ROWS, header.columns)
    values: NDArray[Any]
    if header.size == 2:
        halves = stored.reshape(len(stored), 2, *shape[1:])
        values = halves[:, 1].astype(np.uint16)
        values <<= 8
        values |= halves[:, 0]
    else:
        values = stored.reshape(shape)
    if header.differences:
        if header.size == 2:
            values[..., 1:, :] -= np.uint16(_BIAS)
        for row in range(1, _ROWS):
            values[..., row, :] += values[..., row - 1, :]
    return values
