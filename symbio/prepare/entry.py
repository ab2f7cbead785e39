"""What a reader of official files hands on: frames named, in order, read one at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

_OTHER = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_KEY = 80


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as the official files hold it."""

    content: bytes | NDArray[Any]
    """A file's bytes, or an array: image uint8 (H, W, 3), depth uint16 or labels (H, W)."""
    source: str
    """Names it in messages."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame, read but not yet checked."""

    image: Picture
    depth: Picture
    truth: Picture | None
    info: dict[str, Any]
    """`focal` (pixels) or `intrinsics` [fx, fy, cx, cy] where known; more is allowed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame of a split, not yet read."""

    key: str
    split: str
    """train, val or test."""
    scene: str
    """Frames of one scene or drive are never dealt to both train and val."""
    source: str
    """The frame's place in the official files, relative to the raw folder."""
    read: Callable[[str], RawFrame]
    """Reads the frame, given the split: only training frames may hold filled-in depth."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A frame of a list that was not stored."""

    split: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A listed file that is not there."""

    split: str
    kind: str
    """image, depth, truth or list."""
    source: str
    """The file as listed."""
    at: str
    """Where it is asked for: "LIST, line 7", or the folder that should hold it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be read from a raw folder."""

    dataset: str
    layout: str
    depth_scale: int
    """Stored depth units per metre."""
    label_space: str
    entries: list[Entry]
    skipped: list[Skipped] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """What the reader decided; goes into the shards' header and the report."""
    missing: list[Missing] = field(default_factory=list)
    """Empty in a strict plan."""
    problems: list[str] = field(default_factory=list)
    """What a strict plan would have raised."""


def key_of(path: str) -> str:
    """Frame key of a relative path without its ending: "kitchen_0028b/rgb_00045" with "-" for "/".

    Paths with other characters, or very long ones, keep a recognisable part and get a hash.
    """
    plain = path.strip("/").replace("/", "-")
    key = _OTHER.sub("_", plain)
    if key == plain and len(key) <= _LONGEST_KEY:
        return key
    return f"{key[: _LONGEST_KEY - 11]}-{hashlib.sha256(path.encode()).hexdigest()[:10]}"
