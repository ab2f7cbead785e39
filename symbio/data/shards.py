"""Shards: a data set in a few plain tar files and one index.

Any tar reader opens a shard; the index gives each member's place for random access and each
shard's SHA-256, which is verified when a folder is first opened in a process. Processes that work
together on one disk can share the hashing. Each frame's CRC-32 checks one that is fetched alone.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from symbio.data.shard_writer import FORMAT, INDEX, ShardWriter
from symbio.data.streamed import REMOTE, StreamedShards
from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of

__all__ = ["FORMAT", "INDEX", "ShardWriter", "Shards"]


class Shards:
    """Reads a folder of shards; frames by key, in any order, from any thread or process."""

    def __init__(
        self,
        folder: Path,
        share: tuple[int, int] = (0, 1),
        on_shard: Callable[[], object] = lambda: None,
    ) -> None:
        """Open the index and verify the shards once in this process.

        Args:
            folder: of the shards.
            share: (index, count) where `count` processes open the folder together: the size of
                every shard is looked at, and every count-th from `index` on is hashed.
            on_shard: called before each shard: verifying many takes long.

        Raises:
            SymbioError: the folder or a shard is missing, truncated or altered.
        """
        self.folder = folder
        index = read_json(folder / INDEX, "the index of a shard folder")
        if index.get("format") != FORMAT:
            raise SymbioError(
                f"{folder / INDEX}: shard format {index.get('format')!r}, expected {FORMAT}; "
                "make the folder again"
            )
        self.header: dict[str, Any] = index["header"]
        self.splits: dict[str, list[str]] = index["splits"]
        self._shards: list[dict[str, Any]] = index["shards"]
        self._frames: dict[str, dict[str, Any]] = index["frames"]
        self._files: dict[int, int] = {}
        self._streamed: StreamedShards | None = None
        if (folder / REMOTE).is_file():
            known = {shard["file"]: shard["sha256"] for shard in self._shards}
            self._streamed = StreamedShards(folder, known)
        self.verify(share, on_shard)

    def __contains__(self, key: str) -> bool:
        return key in self._frames

    def keys(self) -> Iterator[str]:
        """Every key, split by split in the order written."""
        for keys in self.splits.values():
            yield from keys

    def info(self, key: str) -> dict[str, Any]:
        """What the index says of a frame (height, width, intrinsics, source ...)."""
        info: dict[str, Any] = self._frame(key)["info"]
        return info

    def read(self, key: str) -> dict[str, bytes]:
        """The members of a frame: ending -> bytes."""
        frame = self._frame(key)
        if self._streamed is not None:
            return self._fetched(key, self._streamed)
        return {
            ending: self._read(frame["shard"], offset, size)
            for ending, (offset, size) in frame["members"].items()
        }

    def read_member(self, key: str, ending: str) -> bytes | None:
        """One member of a frame, or None where the frame has none such."""
        frame = self._frame(key)
        if self._streamed is not None:
            return self._fetched(key, self._streamed).get(ending)
        place = frame["members"].get(ending)
        return None if place is None else self._read(frame["shard"], *place)

    def digest(self) -> str:
        """SHA-256 over the shards' own checksums and the splits: names this data, 64 digits."""
        digest = hashlib.sha256()
        for shard in self._shards:
            digest.update(shard["sha256"].encode())
        for split, keys in sorted(self.splits.items()):
            digest.update(f"{split}:{','.join(keys)};".encode())
        return digest.hexdigest()

    def split_sha256(self, split: str) -> str:
        """SHA-256 of the keys of a split, in order."""
        return hashlib.sha256("\n".join(self.splits.get(split, [])).encode()).hexdigest()

    def verify(
        self, share: tuple[int, int] = (0, 1), on_shard: Callable[[], object] = lambda: None
    ) -> None:
        """Check the shards that this process has not yet seen as they are now.

        Args:
            share: as on opening.
            on_shard: called before each shard.

        Raises:
            SymbioError: names the first shard that is missing, truncated or altered.
        """
        if self._streamed is not None:
            return  # Each frame is compared with its own checksum when it is read.
        index, count = share
        for number, shard in enumerate(self._shards):
            on_shard()
            path = self.folder / shard["file"]
            if not path.is_file():
                raise SymbioError(
                    f"{path}: shard is missing; fetch it with `dvc pull` or make it again"
                )
            state = path.stat()
            if state.st_size != shard["bytes"]:
                raise SymbioError(
                    f"{path}: shard has {state.st_size} bytes, the index says {shard['bytes']}; "
                    "it is truncated or altered: fetch it with `dvc pull` or make it again"
                )
            mark = (str(path), state.st_size, state.st_mtime_ns, shard["sha256"])
            if mark in _VERIFIED or number % count != index:
                continue
            if sha256_of(path) != shard["sha256"]:
                raise SymbioError(
                    f"{path}: shard does not match its SHA-256 in the index; it was altered: "
                    "fetch it with `dvc pull` or make it again"
                )
            _VERIFIED.add(mark)

    def _frame(self, key: str) -> dict[str, Any]:
        try:
            return self._frames[key]
        except KeyError:
            raise SymbioError(f"{self.folder}: has no frame {key!r}") from None

    def _fetched(self, key: str, streamed: StreamedShards) -> dict[str, bytes]:
        """The members of a frame by one request; fetched once more if the bytes are wrong."""
        frame = self._frame(key)
        shard, places = self._shards[frame["shard"]]["file"], frame["members"]
        start = min(offset for offset, _ in places.values())
        size = max(offset + size for offset, size in places.values()) - start
        for _ in range(2):
            data = streamed.read(shard, start, size)
            if zlib.crc32(data) == frame["crc32"]:
                return {
                    ending: data[offset - start : offset - start + length]
                    for ending, (offset, length) in places.items()
                }
            streamed.forget(shard, start, size)
        raise SymbioError(
            f"{streamed.at(shard)}: frame {key} has other bytes than its checksum in the index; "
            "`dvc push` the shards again"
        )

    def _read(self, shard: int, offset: int, size: int) -> bytes:
        if shard not in self._files:
            path = self.folder / self._shards[shard]["file"]
            # setdefault: of two threads that open at once, one descriptor stays.
            opened = os.open(path, os.O_RDONLY)
            if self._files.setdefault(shard, opened) != opened:
                os.close(opened)
        # pread moves no offset, so threads and forked workers may share a descriptor.
        return os.pread(self._files[shard], size, offset)

    def close(self) -> None:
        """Close the shards opened so far; the next read opens them again."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()


_VERIFIED: set[tuple[str, int, int, str]] = set()
