"""A change in the middle of a set changes a shard or two; the others keep their bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from symbio.data.cuts import begins_shard
from symbio.data.shard_writer import INDEX, SHARD_BYTES, ShardWriter

Frames = dict[str, bytes]
TYPICAL = 30_000


def _frames(count: int) -> Frames:
    rng = np.random.default_rng(5)
    return {f"room-{i:04d}": rng.bytes(int(rng.integers(500, 4000))) for i in range(count)}


def _written(folder: Path, frames: Frames) -> dict[str, str]:
    """SHA-256 of each shard -> its file."""
    folder.mkdir()
    writer = ShardWriter(folder, TYPICAL)
    for key, data in frames.items():
        writer.add("train", key, {"image.jpg": data}, {})
    writer.close({})
    rows = json.loads((folder / INDEX).read_text())["shards"]
    return {row["sha256"]: row["file"] for row in rows}


@pytest.mark.parametrize("change", ["added", "removed", "changed"])
def test_a_change_stays_in_its_shard(tmp_path: Path, change: str) -> None:
    frames = _frames(400)
    before = _written(tmp_path / "before", frames)
    assert len(before) > 20
    new = []
    for place in range(0, 400, 16):
        keys = list(frames)
        changed = dict(frames)
        if change == "added":
            keys.insert(place, "new-frame")
            changed["new-frame"] = bytes(1500)
        elif change == "removed":
            del keys[place]
        else:
            changed[keys[place]] = bytes(1500)
        after = _written(tmp_path / f"{place}", {key: changed[key] for key in keys})
        new.append(len(after.keys() - before.keys()))
    assert 1 <= np.median(new) <= 2
    # Where old boundaries come too early or too late for the new shards, it takes a few more.
    assert max(new) <= 6
    assert np.mean(new) < 2.5


@pytest.mark.parametrize("kilobytes", [(60, 120), (200, 400), (600, 1200)])
def test_full_data_sets_come_to_tens_of_files(kilobytes: tuple[int, int]) -> None:
    """24,231 frames; sizes of pseudo-labels, of NYU's JPEG with depth, of KITTI's PNG."""
    rng = np.random.default_rng(0)
    shards: list[int] = [0]
    for i in range(24_231):
        size = 1000 * int(rng.integers(*kilobytes))
        if begins_shard(f"room_{i:05d}", size, shards[-1], SHARD_BYTES):
            shards.append(0)
        shards[-1] += size
    assert 5 <= len(shards) < 100
    assert min(shards[:-1]) >= SHARD_BYTES // 2
    assert max(shards) <= 2 * SHARD_BYTES
    assert 0.7 < np.mean(shards) / SHARD_BYTES < 1.5


def test_a_frame_larger_than_a_shard_has_one_of_its_own() -> None:
    assert not begins_shard("a", 10**9, 0, 1000)
    assert begins_shard("b", 10, 10**9, 1000)
