"""Procedural noise: smooth periodic tiles and hashed cells, looked up in bulk."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_TILE = 256
_HASHES = 4096
_COLUMNS = 1024
# The look-up tables are part of the materials, not of a scene: one fixed seed for all frames.
_SEED = 20240107


@functools.cache
def _tile(octaves: int) -> Float:
    """Periodic noise (256, 256) in 0..1: `octaves` layers, the finest a pixel wide."""
    rng = np.random.default_rng([_SEED, octaves])
    total = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(octaves):
        cells = _TILE >> octave
        layer = rng.random((cells, cells), dtype=np.float32)
        # Three copies side by side, of which the middle is kept, make the resize periodic.
        wide = cv2.resize(
            np.tile(layer, (3, 3)), (3 * _TILE, 3 * _TILE), interpolation=cv2.INTER_CUBIC
        )
        total += wide[_TILE : 2 * _TILE, _TILE : 2 * _TILE] * 2.0**octave
    low, high = np.percentile(total, [1, 99])
    scaled: Float = np.clip((total - low) / (high - low), 0, 1).astype(np.float32)
    return scaled


@functools.cache
def _hash_table() -> Float:
    return np.random.default_rng(_SEED).random(_HASHES, dtype=np.float32)


def smooth(u: Float, v: Float, octaves: int = 3) -> Float:
    """Smooth noise in 0..1 at (u, v), (N,) each; one unit is the finest grain."""
    count = u.size
    if not count:
        return np.zeros(0, np.float32)
    rows = -(-count // _COLUMNS)
    at = np.zeros((2, rows * _COLUMNS), np.float32)
    np.mod(u, _TILE, out=at[0, :count])
    np.mod(v, _TILE, out=at[1, :count])
    grid = at.reshape(2, rows, _COLUMNS)
    values = cv2.remap(
        _tile(octaves), grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return np.asarray(values, np.float32).reshape(-1)[:count]


def cells(i: Float, j: Float, salt: int = 0) -> Float:
    """A random value in 0..1 for each integer cell (i, j), (N,) each."""
    a = np.floor(i).astype(np.int32)
    b = np.floor(j).astype(np.int32)
    index = (a * 73856093) ^ (b * 19349663) ^ np.int32(salt * 83492791 & 0x7FFFFFFF)
    values: Float = _hash_table()[index & (_HASHES - 1)]
    return values
