"""The frames that every evaluation of a data set shows, under names that all evaluations share.

They depend on the data alone. So the pictures that two runs have made lie under the same names in
their artifacts, and may be laid upon each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from symbio.data.images import encode_png
from symbio.data.members import read_member
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.pictures import Picture

PICTURES = "pictures"
"""Folder of the pictures in a report."""

_FRAMES = 4
_DIGITS = 12


def held_out(keys: Iterable[str]) -> list[str]:
    """Four of the keys (or all, where there are fewer): those whose SHA-256 comes first."""
    return sorted(keys, key=lambda key: hashlib.sha256(key.encode()).hexdigest())[:_FRAMES]


def picture_name(prepared: Shards, key: str) -> str:
    """Name of a frame's picture: the start of the SHA-256 of its stored image, and `.png`.

    A frame that another preparation calls otherwise keeps it; one whose image has changed does not.

    Raises:
        SymbioError: there is no such frame, or it has no image.
    """
    image = read_member(prepared, key, "image")
    if image is None:
        raise SymbioError(
            f"{prepared.folder}: frame {key}: has no image; prepare the data set again"
        )
    return f"{hashlib.sha256(image).hexdigest()[:_DIGITS]}.png"


def save_picture(folder: Path, prepared: Shards, key: str, picture: Picture) -> None:
    """Write the picture of a frame, uint8 (h, w, 3), under the frame's name."""
    (folder / picture_name(prepared, key)).write_bytes(encode_png(picture))
