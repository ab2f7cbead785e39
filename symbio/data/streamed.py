"""Shards that lie in an object store: byte ranges fetched when asked for, kept within a bound.

A folder of shards may hold `remote.json` instead of its tar files (`symbio stream` writes it). A
frame is then one ranged request, or a file of the local cache: where the disk holds all frames,
each is fetched once; where it does not, those unused for longest make room.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from symbio.errors import SymbioError
from symbio.files import read_json

REMOTE = "remote.json"
FORMAT = 1

CACHE_VARIABLE = "SYMBIO_SHARD_CACHE"
"""Environment variable: folder of the local cache; by default `.streamed` in the data folder."""
CACHE_SIZE_VARIABLE = "SYMBIO_SHARD_CACHE_SIZE"
"""Environment variable: what the cache may take on the disk, such as 20GiB."""
_USUAL_SIZE = "20GiB"
_UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

_TIMEOUT_S = 60
_ATTEMPTS = 8
_CONNECTIONS = 32
"""Requests of one process at a time: a rank decodes with fewer threads."""


class StreamedShards:
    """Byte ranges of the shards of one folder. Any thread may read."""

    def __init__(self, folder: Path, shards: Mapping[str, str]) -> None:
        """Nothing is fetched yet.

        Args:
            folder: that holds `remote.json`.
            shards: file name of every shard -> its SHA-256.

        Raises:
            SymbioError: `remote.json` is broken, or lacks a shard; a variable is malformed.
        """
        path = folder / REMOTE
        content = read_json(path, "where the shards of a folder lie")
        if content.get("format") != FORMAT or not str(content.get("url", "")).startswith("s3://"):
            raise SymbioError(f"{path}: names no place in S3; run `symbio stream` again")
        self._objects: dict[str, str] = content["objects"]
        lacking = sorted(shards.keys() - self._objects.keys())
        if lacking:
            raise SymbioError(f"{path}: lacks the shard {lacking[0]}; run `symbio stream` again")
        self._url: str = content["url"].rstrip("/")
        self._settings: dict[str, str] = content.get("client", {})
        self._sha256_of = shards
        self._cache = Cache(cache_folder(folder), cache_bytes())
        self._client: Any = None
        self._lock = threading.Lock()

    def read(self, shard: str, offset: int, size: int) -> bytes:
        """Bytes of a shard, from the cache or from the store; whoever asks checks them.

        Raises:
            SymbioError: the store does not answer (exit code 75: again), or has no such object.
        """
        name = f"{self._sha256_of[shard][:32]}-{offset}-{size}"
        data = self._cache.get(name, size)
        if data is None:
            data = self._fetch(shard, offset, size)
            self._cache.put(name, data)
        return data

    def forget(self, shard: str, offset: int, size: int) -> None:
        """Drop a range from the cache: its bytes were found to be wrong."""
        self._cache.remove(f"{self._sha256_of[shard][:32]}-{offset}-{size}")

    def at(self, shard: str) -> str:
        """Names a shard's object in messages."""
        return f"{self._url}/{self._objects[shard]}"

    def _fetch(self, shard: str, offset: int, size: int) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        place = urlsplit(self.at(shard))
        try:
            answer = self._s3().get_object(
                Bucket=place.netloc,
                Key=place.path.lstrip("/"),
                Range=f"bytes={offset}-{offset + size - 1}",
            )
            data: bytes = answer["Body"].read()
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            again = 75 if status >= 500 or status == 429 else 2
            raise SymbioError(f"{self.at(shard)}: cannot be read ({error})", again) from error
        except (BotoCoreError, OSError) as error:
            raise SymbioError(f"{self.at(shard)}: does not answer ({error})", 75) from error
        if len(data) != size:
            raise SymbioError(
                f"{self.at(shard)}: gave {len(data)} bytes of {size} from {offset} on; the object "
                "is not the shard of the index: `dvc push` it again"
            )
        return data

    def _s3(self) -> Any:
        with self._lock:
            if self._client is None:
                import boto3
                from botocore.config import Config

                # A session of its own: boto3's default one is not for several threads.
                self._client = boto3.session.Session().client(
                    "s3",
                    config=Config(
                        connect_timeout=_TIMEOUT_S,
                        read_timeout=_TIMEOUT_S,
                        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                        max_pool_connections=_CONNECTIONS,
                    ),
                    **self._settings,
                )
            return self._client


class Cache:
    """Byte strings by name in a folder, at most so many bytes; several processes may share it.

    Each process bounds what it knows of; before it removes anything it looks at the folder anew.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._bytes = sum(size for _, size, _ in self._files())

    def get(self, name: str, size: int) -> bytes | None:
        """The bytes, or None where they are not there whole."""
        path = self._path(name)
        try:
            data = path.read_bytes()
            # The time of last use: what is read stays longest.
            os.utime(path)
        except OSError:
            return None
        return data if len(data) == size else None

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes; a full disk, or bytes beyond the bound, are no error but no gain either."""
        if len(data) > self._limit_bytes:
            return
        path = self._path(name)
        aside = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}.part")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(data)
                os.replace(aside, path)
            finally:
                aside.unlink(missing_ok=True)
        with self._lock:
            self._bytes += len(data)
            if self._bytes > self._limit_bytes:
                self._make_room()

    def remove(self, name: str) -> None:
        """Forget bytes."""
        self._path(name).unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Remove what was unused for longest, down to nine tenths of the bound."""
        files = sorted(self._files())
        self._bytes = sum(size for _, size, _ in files)
        for _, size, path in files:
            if self._bytes <= 0.9 * self._limit_bytes:
                break
            path.unlink(missing_ok=True)
            self._bytes -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        return found

    def _path(self, name: str) -> Path:
        # 256 folders, so that none holds tens of thousands of files.
        return self._folder / hashlib.blake2b(name.encode(), digest_size=1).hexdigest() / name


def cache_folder(folder: Path) -> Path:
    """Where what was fetched for a folder of shards is kept."""
    named = os.environ.get(CACHE_VARIABLE, "").strip()
    return Path(named) if named else folder.parent.parent / ".streamed"


def cache_bytes() -> int:
    """What the cache may take. Raises SymbioError if the variable is no size."""
    text = os.environ.get(CACHE_SIZE_VARIABLE, "").strip() or _USUAL_SIZE
    match = re.fullmatch(r"(\d+) ?(MiB|GiB|TiB)", text)
    if match is None:
        raise SymbioError(f"{CACHE_SIZE_VARIABLE}={text!r}: give a size such as 20GiB")
    return int(match[1]) * _UNITS[match[2]]
