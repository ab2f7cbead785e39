"""What was fetched stays within its bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from symbio.data.streamed import Cache, cache_bytes
from symbio.errors import SymbioError


def kept(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_what_was_unused_for_longest_makes_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    for number in range(9):
        cache.put(f"frame-{number}", bytes([number]) * 100)
        path = next(tmp_path.rglob(f"frame-{number}"))
        os.utime(path, (number, number))
    assert cache.get("frame-0", 100) == bytes(100), "and so it is used again"
    cache.put("frame-9", b"9" * 100)
    cache.put("frame-10", b"x" * 100)
    names = kept(tmp_path)
    assert sum(names.values()) <= 1000
    assert {"frame-0", "frame-9", "frame-10"} <= names.keys()
    assert "frame-1" not in names


def test_a_bound_holds_for_a_folder_that_was_there_before(tmp_path: Path) -> None:
    first = Cache(tmp_path, 10_000)
    for number in range(50):
        first.put(f"frame-{number}", bytes(100))
    Cache(tmp_path, 1000).put("last", bytes(100))
    assert sum(kept(tmp_path).values()) <= 1000


def test_bytes_that_are_not_whole_are_not_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    cache.put("frame", bytes(100))
    next(tmp_path.rglob("frame")).write_bytes(bytes(99))
    assert cache.get("frame", 100) is None
    assert cache.get("other", 100) is None


def test_what_exceeds_the_bound_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1000)
    cache.put("large", bytes(1001))
    assert kept(tmp_path) == {}


@pytest.mark.parametrize(("text", "size"), [("3GiB", 3 * 2**30), ("20 MiB", 20 * 2**20)])
def test_sizes(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIO_SHARD_CACHE_SIZE", text)
    assert cache_bytes() == size


@pytest.mark.parametrize("text", ["3", "-3GiB", "3GB", "much"])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMBIO_SHARD_CACHE_SIZE", text)
    with pytest.raises(SymbioError, match="SYMBIO_SHARD_CACHE_SIZE"):
        cache_bytes()
