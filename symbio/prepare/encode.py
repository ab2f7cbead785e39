"""One frame, decoded once to check it, and encoded for the shards.

Nothing is lost: a JPEG keeps its bytes, and all else is encoded as `symbio.data.members` says.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from symbio.data.classes import IGNORE, known_ids
from symbio.data.images import decode_depth, decode_labels, decode_rgb
from symbio.data.members import encode_depth, encode_image, encode_labels
from symbio.errors import SymbioError
from symbio.prepare.entry import Entry, Picture

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8"
_ORIENTATION = 0x0112
_THUMB = (16, 16)


@dataclass(frozen=True, slots=True)
class Encoded:
    """One frame, ready to be stored."""

    entry: Entry
    members: dict[str, bytes]
    info: dict[str, Any]
    size: tuple[int, int]
    """Height and width, pixels."""
    depth_counts: NDArray[np.int64]
    """(65536,): pixels of each stored depth value."""
    class_counts: NDArray[np.int64] | None
    """Pixels of each class id, where the frame has labels."""
    pixels_sha256: bytes
    """Of the decoded image: the same picture in another file format has the same."""
    thumb: NDArray[np.uint8]
    """(16, 16, 3): a copy of the picture by lossy compression has nearly the same."""
    arrays: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None] | None
    """Image, depth and labels, of frames that the contact sheet shows."""


def encode(entry: Entry, label_space: str, shown: bool) -> Encoded:
    """Read, check and encode one frame; `shown` keeps its arrays for the contact sheet.

    Raises:
        SymbioError: a picture is truncated, has the wrong channels or bit depth, is rotated by
            EXIF, differs in size from the others, or holds class ids outside `label_space`.
    """
    frame = entry.read(entry.split)
    image, image_file = _image(frame.image)
    depth = _depth(frame.depth)
    _same_size(frame.image, image, frame.depth, depth)
    members = _member("image", encode_image(image, image_file))
    members |= _member("depth", encode_depth(depth))
    truth, class_counts = None, None
    if frame.truth is not None:
        truth = _truth(frame.truth)
        members |= _member("truth", encode_labels(truth))
        _same_size(frame.image, image, frame.truth, truth)
        class_counts = _class_counts(truth, label_space, frame.truth.source)
    height, width = depth.shape
    info = {
        "height": height,
        "width": width,
        "scene": entry.scene,
        "source": entry.source,
        **frame.info,
    }
    return Encoded(
        entry=entry,
        members=members,
        info=info,
        size=(height, width),
        depth_counts=np.bincount(depth.ravel(), minlength=65536),
        class_counts=class_counts,
        pixels_sha256=hashlib.sha256(image.data).digest(),
        thumb=cv2.resize(image, _THUMB, interpolation=cv2.INTER_AREA),  # type: ignore[arg-type]
        arrays=(image, depth, truth) if shown else None,
    )


def _member(kind: str, encoded: tuple[bytes, str]) -> dict[str, bytes]:
    data, form = encoded
    return {f"{kind}.{form}": data}


def _image(picture: Picture) -> tuple[NDArray[np.uint8], bytes | None]:
    """The picture, and the file that it was decoded from, if it was."""
    if not isinstance(picture.content, bytes):
        return picture.content, None
    data, source = picture.content, picture.source
    if not data.startswith((_PNG_SIGNATURE, _JPEG_START)):
        raise SymbioError(f"{source}: is neither PNG nor JPEG (starts with {data[:8]!r})")
    image = np.ascontiguousarray(decode_rgb(data, source))
    if data.startswith(_JPEG_START):
        _refuse_turned(data, source)
    return image, data


def _refuse_turned(jpeg: bytes, source: str) -> None:
    orientation = Image.open(io.BytesIO(jpeg)).getexif().get(_ORIENTATION, 1)
    if orientation != 1:
        raise SymbioError(
            f"{source}: its EXIF tag turns the picture (orientation {orientation}), so that image "
            "and depth disagree between readers; write it upright, without the tag"
        )


def _depth(picture: Picture) -> NDArray[np.uint16]:
    if isinstance(picture.content, bytes):
        if not picture.content.startswith(_PNG_SIGNATURE):
            raise SymbioError(
                f"{picture.source}: is no PNG; expected the official 16-bit depth PNG"
            )
        return decode_depth(picture.content, picture.source)
    return picture.content


def _truth(picture: Picture) -> NDArray[Any]:
    if isinstance(picture.content, bytes):
        return decode_labels(picture.content, picture.source)
    return picture.content


def _same_size(first: Picture, image: NDArray[Any], second: Picture, other: NDArray[Any]) -> None:
    if image.shape[:2] != other.shape[:2]:
        raise SymbioError(
            f"{first.source} is {image.shape[0]}x{image.shape[1]}, but {second.source} is "
            f"{other.shape[0]}x{other.shape[1]} (height x width); they must show the same pixels: "
            "take both from the official files, unscaled"
        )


def _class_counts(truth: NDArray[Any], label_space: str, source: str) -> NDArray[np.int64]:
    known = known_ids(label_space)
    counts = np.bincount(truth.ravel(), minlength=len(known))
    wrong = np.flatnonzero((counts > 0) & ~known)
    # Where 255 means unlabelled, it belongs to no class.
    largest = int(np.flatnonzero(known & (np.arange(len(known)) != IGNORE))[-1])
    if wrong.size:
        raise SymbioError(
            f"{source}: class ids {wrong[:5].tolist()} are outside 0..{largest} of {label_space}; "
            "expected the official label file, neither coloured nor mapped to other ids"
        )
    return counts[: largest + 1]
