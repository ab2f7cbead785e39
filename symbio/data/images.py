"""Image bytes to arrays and back, strictly.

Maps of `symbio.data.codec` are decoded by it. Pillow decodes all else, because it raises on
truncated files where OpenCV returns garbage, and because it keeps 16 bits; OpenCV encodes PNG,
because it is several times faster and lossless just the same.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from symbio.data import codec
from symbio.data.codec import Window
from symbio.errors import SymbioError

ImageFile.LOAD_TRUNCATED_IMAGES = False
cv2.setNumThreads(1)

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BIT_DEPTH = 24
"""Byte of a PNG file that holds its bits a channel."""
_DEPTH_MODES = {"I;16", "I;16B", "I"}
# Measured on real frames (benchmarks/prepare.py): against level 1 alone, the Up filter with
# run-length matching encodes and decodes in half the time, at the same size.
_PNG = [
    cv2.IMWRITE_PNG_COMPRESSION, 1,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
]  # fmt: skip


def decode_rgb(data: bytes, source: str) -> NDArray[np.uint8]:
    """RGB picture, uint8 (H, W, 3).

    Raises:
        SymbioError: not an image, truncated, or not 8-bit RGB; the message starts with `source`.
    """
    if data.startswith(codec.MAGIC):
        return interleaved(decode_planes(data, source))
    image = _open(data, source)
    if image.mode != "RGB":
        raise SymbioError(f"{source}: expected an 8-bit RGB image, found mode {image.mode!r}")
    # Pillow drops the lower half of 16-bit colours and calls the rest RGB.
    if data.startswith(_PNG_SIGNATURE) and data[_PNG_BIT_DEPTH] == 16:
        raise SymbioError(f"{source}: expected an 8-bit RGB image, found 16 bits a channel")
    return np.asarray(image, dtype=np.uint8)


def decode_planes(data: bytes, source: str, window: Window | None = None) -> NDArray[np.uint8]:
    """RGB picture, or a window of it, as networks take it: uint8 (3, h, w).

    Raises:
        SymbioError: as of `decode_rgb`, or the window reaches beyond the picture.
    """
    if not data.startswith(codec.MAGIC):
        image = _cut(decode_rgb(data, source), source, window)
        split = np.empty((3, *image.shape[:2]), np.uint8)
        cv2.split(image, list(split))
        return split
    planes = codec.decode(data, source, window)
    if planes.dtype != np.uint8 or len(planes) != 3:
        raise SymbioError(
            f"{source}: expected an 8-bit RGB image, found {planes.dtype} with {len(planes)} "
            "channels"
        )
    return planes


def interleaved(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (3, H, W) as (H, W, 3)."""
    pixels: NDArray[np.uint8] = cv2.merge(list(planes))
    return pixels


def decode_depth(data: bytes, source: str, window: Window | None = None) -> NDArray[np.uint16]:
    """Depth map as stored, or a window of it, uint16 (h, w); the data set's scale is not applied.

    Raises:
        SymbioError: not an image, truncated, or not single-channel 16-bit, or the window reaches
            beyond the map.
    """
    if data.startswith(codec.MAGIC):
        depth: NDArray[np.uint16] = _single(codec.decode(data, source, window), source, "depth map")
        if depth.dtype != np.uint16:
            raise SymbioError(f"{source}: expected a 16-bit depth map, found {depth.dtype}")
        return depth
    image = _open(data, source)
    if image.mode not in _DEPTH_MODES:
        raise SymbioError(
            f"{source}: expected a single-channel 16-bit depth PNG, found mode {image.mode!r}; "
            "an 8-bit copy has lost the depth: take the original file"
        )
    values = np.asarray(image)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise SymbioError(f"{source}: depth values {values.min()}..{values.max()} exceed 16 bits")
    return _cut(values.astype(np.uint16), source, window)


def decode_labels(data: bytes, source: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Label map, uint8 or uint16 (H, W).

    Raises:
        SymbioError: not an image, truncated, or not single-channel.
    """
    if data.startswith(codec.MAGIC):
        labels: NDArray[np.uint8] = _single(codec.decode(data, source), source, "label map")
        return labels
    image = _open(data, source)
    if image.mode in ("L", "P"):
        return np.asarray(image, dtype=np.uint8)
    if image.mode in _DEPTH_MODES:
        return np.asarray(image).astype(np.uint16)
    raise SymbioError(f"{source}: expected a single-channel label map, found mode {image.mode!r}")


def encode_png(array: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Lossless PNG of uint8 (H, W), uint8 RGB (H, W, 3) or uint16 (H, W)."""
    if array.ndim == 3:
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    done, buffer = cv2.imencode(".png", array, _PNG)
    if not done:
        raise ValueError(f"cannot encode {array.dtype} {array.shape} as PNG")
    return buffer.tobytes()


def _single(planes: NDArray[Any], source: str, what: str) -> NDArray[Any]:
    if len(planes) != 1:
        raise SymbioError(f"{source}: expected a {what}, found {len(planes)} channels")
    only: NDArray[Any] = planes[0]
    return only


def _cut(values: NDArray[Any], source: str, window: Window | None) -> NDArray[Any]:
    """A window of (H, W) or (H, W, C)."""
    if window is None:
        return values
    top, bottom, left, right = window
    if bottom > values.shape[0] or right > values.shape[1]:
        raise SymbioError(
            f"{source}: is {values.shape[0]}x{values.shape[1]} (height x width), which does not "
            f"hold rows {top}:{bottom}, columns {left}:{right}; prepare the data set again"
        )
    return values[top:bottom, left:right]


def _open(data: bytes, source: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:
        # Pillow raises many types (OSError, SyntaxError, struct.error, ...) on broken files.
        raise SymbioError(f"{source}: cannot be decoded as an image ({error})") from error
    return image
