"""Shards, written: frames appended to tar files whose ends depend on the frames alone."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.data.cuts import begins_shard
from symbio.errors import SymbioError
from symbio.files import write_json

INDEX = "index.json"
FORMAT = 1
SHARD_BYTES = 256 * 2**20
"""Of a typical shard: tens of files for tens of thousands of frames."""
_KEY = re.compile(r"[A-Za-z0-9_.\-]+")


@dataclass(frozen=True, slots=True)
class FinishedShard:
    """A shard that is whole, as the index will name it."""

    row: dict[str, Any]
    """Its file name, split, size in bytes and SHA-256."""
    frames: dict[str, dict[str, Any]]
    """Its frames in order: the shard's number, members, info and crc32 of each."""


class ShardWriter:
    """Writes frames into `folder`, split by split; `close` writes the index last."""

    def __init__(
        self,
        folder: Path,
        shard_bytes: int = SHARD_BYTES,
        on_finished: Callable[[FinishedShard], object] = lambda _: None,
    ) -> None:
        """Write into an empty folder, or go on in one whose first shards are then adopted.

        Args:
            folder: of the shards; exists.
            shard_bytes: of a typical shard; which frame ends one is said in `symbio.data.cuts`.
            on_finished: called with each shard when its file is whole and closed.
        """
        self.folder = folder
        self.shard_bytes = shard_bytes
        self._on_finished = on_finished
        self._splits: dict[str, list[str]] = {}
        self._frames: dict[str, dict[str, Any]] = {}
        self._shards: list[dict[str, Any]] = []
        self._open: _OpenShard | None = None

    def adopt(self, shard: FinishedShard) -> None:
        """Take up the next shard of an earlier writer that wrote into the same folder."""
        self._shards.append(shard.row)
        self._frames.update(shard.frames)
        self._splits.setdefault(shard.row["split"], []).extend(shard.frames)

    def add(self, split: str, key: str, members: dict[str, bytes], info: dict[str, Any]) -> None:
        """Append one frame; `members` maps endings such as "depth.png" to bytes.

        Raises:
            SymbioError: the key holds other characters than letters, digits, `_.-`, or came before.
        """
        if not _KEY.fullmatch(key):
            raise SymbioError(f"frame key {key!r}: only letters, digits and _.- are allowed")
        if key in self._frames or (self._open is not None and key in self._open.frames):
            raise SymbioError(f"frame key {key!r} comes twice")
        blocks, places = _blocks_of(key, members)
        shard = self._shard_for(split, key, len(blocks))
        places = {ending: [shard.filled + at, size] for ending, (at, size) in places.items()}
        shard.frames[key] = {
            "shard": len(self._shards),
            "members": places,
            "info": info,
            "crc32": _span_crc32(blocks, shard.filled, places),
        }
        shard.write(blocks)

    def close(self, header: dict[str, Any]) -> None:
        """Finish the last shard and write the index with `header`."""
        self.finish()
        index = {
            "format": FORMAT,
            "header": header,
            "splits": self._splits,
            "shards": self._shards,
            "frames": self._frames,
        }
        write_json(self.folder / INDEX, index)

    def finish(self) -> None:
        """Finish the shard that is being written, if any; the next frame begins another."""
        if self._open is None:
            return
        finished = FinishedShard(self._open.finish(), self._open.frames)
        self._open = None
        self.adopt(finished)
        self._on_finished(finished)

    def __del__(self) -> None:
        # A writer given up half-way (bad input, Ctrl-C, full disk) still closes its file; what
        # it could not write any more is of no interest.
        if getattr(self, "_open", None) is not None:
            with contextlib.suppress(OSError):
                self._open.file.close()  # type: ignore[union-attr]

    def _shard_for(self, split: str, key: str, size: int) -> _OpenShard:
        shard = self._open
        if shard is not None and (
            split != shard.split or begins_shard(key, size, shard.filled, self.shard_bytes)
        ):
            self.finish()
            shard = None
        if shard is None:
            number = sum(row["split"] == split for row in self._shards)
            self._open = shard = _OpenShard(self.folder / f"{split}-{number:05d}.tar", split)
        return shard


class _OpenShard:
    """The tar file that is being written, hashed on the way."""

    def __init__(self, path: Path, split: str) -> None:
        self.path = path
        self.split = split
        self.filled = 0
        self.frames: dict[str, dict[str, Any]] = {}
        self.file = path.open("wb")
        self._sha256 = hashlib.sha256()

    def write(self, blocks: bytes) -> None:
        self.file.write(blocks)
        self._sha256.update(blocks)
        self.filled += len(blocks)

    def finish(self) -> dict[str, Any]:
        """Close the file; its row of the index."""
        # As every tar ends: two empty blocks, filled up to a whole record.
        end = self.filled + 2 * tarfile.BLOCKSIZE
        records = -(-end // tarfile.RECORDSIZE)
        self.write(bytes(records * tarfile.RECORDSIZE - self.filled))
        self.file.close()
        return {
            "file": self.path.name,
            "split": self.split,
            "bytes": self.filled,
            "sha256": self._sha256.hexdigest(),
        }


def _blocks_of(key: str, members: dict[str, bytes]) -> tuple[bytes, dict[str, list[int]]]:
    """A frame's members as blocks of a tar, and the place of each within them."""
    parts: list[bytes] = []
    places: dict[str, list[int]] = {}
    filled = 0
    for ending, data in sorted(members.items()):
        member = tarfile.TarInfo(f"{key}.{ending}")
        member.size = len(data)
        header = member.tobuf(tarfile.USTAR_FORMAT)
        places[ending] = [filled + len(header), len(data)]
        parts += [header, data, bytes(-len(data) % tarfile.BLOCKSIZE)]
        filled += len(header) + len(data) + len(parts[-1])
    return b"".join(parts), places


def _span_crc32(blocks: bytes, start: int, places: dict[str, list[int]]) -> int:
    """CRC-32 from the first byte of a frame's first member to the last byte of its last one.

    Whoever fetches a frame in one piece, the headers between its members included, can check it.
    `start` is the place of `blocks` in the shard.
    """
    if not places:
        return zlib.crc32(b"")
    first = min(at for at, _ in places.values())
    last = max(at + size for at, size in places.values())
    return zlib.crc32(memoryview(blocks)[first - start : last - start])
