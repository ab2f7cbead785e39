"""The members of a stored frame: what each is called, and in which form it is kept.

A JPEG keeps its bytes: nothing decodes faster, and nothing is lost. All else is kept as
`symbio.data.codec` has it (`.map`). PNG, which other programs write, is read just the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from symbio.data import codec
from symbio.data.shards import Shards

MAP = "map"
"""Ending of what `symbio.data.codec` has encoded."""
FORMS = (MAP, "png", "jpg")
"""Endings that a member may have."""
_JPEG = b"\xff\xd8"


def member(members: Mapping[str, bytes], kind: str) -> bytes | None:
    """A frame's image, depth, truth, class or confidence, in whichever form; None: it has none."""
    for form in FORMS:
        data = members.get(f"{kind}.{form}")
        if data is not None:
            return data
    return None


def read_member(shards: Shards, key: str, kind: str) -> bytes | None:
    """As `member`, of a frame of which nothing else is wanted.

    Raises:
        SymbioError: there is no such frame.
    """
    for form in FORMS:
        data = shards.read_member(key, f"{kind}.{form}")
        if data is not None:
            return data
    return None


def encode_image(image: NDArray[np.uint8], file: bytes | None = None) -> tuple[bytes, str]:
    """What to store of a picture, and its ending.

    Args:
        image: uint8 (H, W, 3), RGB.
        file: that `image` was decoded from, if it was.
    """
    if file is not None and file.startswith(_JPEG):
        return file, "jpg"
    return codec.encode(image), MAP


def encode_depth(depth: NDArray[np.uint16]) -> tuple[bytes, str]:
    """What to store of a depth map, uint16 (H, W), and its ending."""
    return codec.encode(depth), MAP


def encode_labels(labels: NDArray[np.uint8] | NDArray[np.uint16]) -> tuple[bytes, str]:
    """What to store of class ids or confidences, uint8 or uint16 (H, W), and its ending."""
    return codec.encode(labels), MAP
