"""What is remembered of the frames of one finished shard, so that none of them is read again."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.images import decode_rgb, encode_png
from symbio.data.shard_writer import FinishedShard
from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.prepare.contact import Row
from symbio.prepare.statistics import SplitStatistics

_THUMB = (16, 16, 3)
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry whose frame was stored or left out."""

    split: str
    key: str
    source: str
    median: int | None
    """Of the stored depth values; None without a measurement."""
    pixels_sha256: bytes
    thumb: NDArray[np.uint8]
    """(16, 16, 3)."""
    left_out: str
    """Why it was not stored; empty if it was."""


@dataclass(slots=True)
class Part:
    """Everything that the report needs of one shard's frames, and of those left out among them."""

    seen: list[Seen] = field(default_factory=list)
    statistics: SplitStatistics = field(default_factory=SplitStatistics)
    rows: dict[str, Row] = field(default_factory=dict)
    """Rows of the contact sheet."""


def write_part(path: Path, shard: FinishedShard, part: Part) -> None:
    """Write a part, whole, with its shard's rows of the index."""
    content = {
        "shard": {"row": shard.row, "frames": shard.frames},
        "seen": [
            [s.split, s.key, s.source, s.median, s.pixels_sha256.hex(), s.left_out]
            for s in part.seen
        ],
        "thumbs": _packed(np.array([s.thumb for s in part.seen], np.uint8)),
        "statistics": _from_statistics(part.statistics),
        "rows": {
            key: {"png": _text(encode_png(np.hstack(row.pictures))), "has_truth": row.has_truth}
            for key, row in part.rows.items()
        },
    }
    # The order of frames is the order in which they were stored; JSON objects are sorted here.
    content["order"] = list(shard.frames)
    write_json(path, content)


def read_part(path: Path) -> tuple[FinishedShard, Part] | None:
    """What `write_part` wrote, or None where no readable file is."""
    try:
        content = read_json(path, "what is remembered of a shard")
    except SymbioError:
        return None
    frames = content["shard"]["frames"]
    shard = FinishedShard(content["shard"]["row"], {key: frames[key] for key in content["order"]})
    thumbs = _unpacked(content["thumbs"], np.uint8).reshape(-1, *_THUMB)
    seen = [
        Seen(split, key, source, median, bytes.fromhex(sha256), thumb, left_out)
        for (split, key, source, median, sha256, left_out), thumb in zip(
            content["seen"], thumbs, strict=True
        )
    ]
    rows = {
        key: Row(_cut(decode_rgb(_bytes(row["png"]), f"{path}: {key}")), row["has_truth"])
        for key, row in content["rows"].items()
    }
    return shard, Part(seen, _to_statistics(content["statistics"]), rows)


def _cut(strip: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return list(np.split(strip, _COLUMNS, axis=1))


def _from_statistics(statistics: SplitStatistics) -> dict[str, Any]:
    classes = statistics.class_counts
    return {
        "frames": statistics.frames,
        "frames_with_truth": statistics.frames_with_truth,
        "frames_without_depth": statistics.frames_without_depth,
        "pixels": statistics.pixels,
        "depth_counts": _packed(statistics.depth_counts),
        "class_counts": None if classes is None else _packed(classes),
        "sizes": [[*size, frames] for size, frames in statistics.sizes.items()],
        "scenes": sorted(statistics.scenes),
    }


def _to_statistics(content: dict[str, Any]) -> SplitStatistics:
    classes = content["class_counts"]
    return SplitStatistics(
        frames=content["frames"],
        frames_with_truth=content["frames_with_truth"],
        frames_without_depth=content["frames_without_depth"],
        pixels=content["pixels"],
        depth_counts=_unpacked(content["depth_counts"], np.int64),
        class_counts=None if classes is None else _unpacked(classes, np.int64),
        sizes={(height, width): frames for height, width, frames in content["sizes"]},
        scenes=set(content["scenes"]),
    )


def _packed(array: NDArray[Any]) -> str:
    return _text(zlib.compress(array.tobytes()))


def _unpacked(text: str, dtype: type[Any]) -> NDArray[Any]:
    # A copy: what is read from bytes could not be added to.
    return np.frombuffer(zlib.decompress(_bytes(text)), dtype).copy()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
