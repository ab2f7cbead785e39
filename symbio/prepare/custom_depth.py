"""Depth files of a data set of one's own: 16-bit PNG of a known scale, or .npy of metres."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.images import decode_depth
from symbio.errors import SymbioError
from symbio.prepare.dataset_file import NAME, DepthFiles
from symbio.prepare.files import read_bytes


def read_depth(path: Path, told: DepthFiles) -> bytes | NDArray[np.uint16]:
    """Depth as it is stored: a PNG's own bytes where all of it lies in the range, else an array.

    Returns:
        Bytes of a 16-bit PNG, or uint16 (H, W); `told.stored_scale` units a metre, 0 = no
        measurement. Metres from .npy are rounded to the nearest unit.

    Raises:
        SymbioError: the file is no depth map, or more than half of what it measures lies outside
            the range, so that the unit cannot be right.
    """
    data = read_bytes(path)
    scale = told.stored_scale
    if path.suffix == ".npy":
        metres = _metres(data, path)
        measured = np.isfinite(metres) & (metres > 0)
        inside = _inside(metres, measured, path, told)
        rounded: NDArray[np.uint16] = np.rint(np.where(inside, metres, 0) * scale).astype(np.uint16)
        return rounded
    if path.suffix != ".png":
        raise SymbioError(f"{path}: depth must be a 16-bit .png, or .npy of metres")
    if told.scale is None:
        raise SymbioError(
            f"{path.name}: its unit is not known; give depth.scale (units a metre) in {NAME}"
        )
    units = decode_depth(data, str(path))
    measured = (units > 0) & ~np.isin(units, told.invalid)
    inside = _inside(units / np.float64(scale), measured, path, told)
    whole = np.count_nonzero(inside) == np.count_nonzero(units)
    return data if whole else np.where(inside, units, np.uint16(0))


def _metres(data: bytes, path: Path) -> NDArray[np.float64]:
    try:
        # No pickles: they could run anything.
        found: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise SymbioError(f"{path}: is no .npy file of numbers, or is truncated ({error})") from (
            error
        )
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f":
        what = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else "several arrays"
        raise SymbioError(f"{path}: expected floating-point metres (H, W), found {what}")
    return found.astype(np.float64)


def _inside(
    metres: NDArray[np.float64], measured: NDArray[np.bool_], path: Path, told: DepthFiles
) -> NDArray[np.bool_]:
    low, high = told.range
    # Half a unit of tolerance: a value at an end belongs to the range, however it was rounded.
    slack = 0.5 / told.stored_scale
    with np.errstate(invalid="ignore"):
        inside = measured & (metres >= low - slack) & (metres <= high + slack)
    if 2 * np.count_nonzero(inside) < np.count_nonzero(measured):
        median = float(np.median(metres[measured]))
        raise SymbioError(
            f"{path}: its median depth is {median:.4g} m, but depth.range of {NAME} is {low:g} to "
            f"{high:g} m; correct depth.scale or depth.range, or name values that mean no "
            "measurement in depth.invalid"
        )
    return inside
