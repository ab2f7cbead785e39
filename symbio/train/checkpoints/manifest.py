"""Sealed folders: a manifest with the SHA-256 of each file, so that damage is found before use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from symbio.files import sha256_of, write_json

MANIFEST = "manifest.json"


class HashedFile:
    """A file being written whose SHA-256 is that of the bytes as they were meant.

    A disk that stores other bytes than it was given is found when the folder is verified.
    """

    def __init__(self, path: Path, written: Callable[[int], None]) -> None:
        """Open `path` for writing; `written` is told the bytes of each write."""
        self.name = str(path)
        self._file = path.open("wb")
        self._written = written
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        count = self._file.write(data)
        self._digest.update(data)
        self._bytes += count
        self._written(count)
        return count

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()

    def close(self) -> dict[str, Any]:
        """Push the file to the disk and close it; returns its entry in a manifest."""
        self.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def abandon(self) -> None:
        """Close the file, whatever is in it."""
        with contextlib.suppress(OSError):
            self._file.close()


def seal(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    """Write the manifest of `folder` and push the folder itself to the disk."""
    write_json(folder / MANIFEST, {"files": files, "sha256": _digest(files)})
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        sync(path)


def read_manifest(folder: Path) -> dict[str, dict[str, Any]] | None:
    """The entries of a folder's manifest; None if it is missing, garbled or altered."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = manifest["files"]
        return files if manifest["sha256"] == _digest(files) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def problem_with(folder: Path, share: int = 0, shares: int = 1) -> str | None:
    """What is wrong with a sealed folder, naming the file; None if nothing is.

    Each rank hashes one share of the files; the folder is whole if no rank finds a problem.
    """
    files = read_manifest(folder)
    if files is None:
        return f"{folder / MANIFEST}: missing or damaged"
    for name in sorted(files)[share::shares]:
        path, expected = folder / name, files[name]
        if not path.is_file():
            return f"{path}: missing"
        size = path.stat().st_size
        if size != expected["bytes"]:
            return f"{path}: has {size} bytes, was written with {expected['bytes']}"
        with contextlib.suppress(OSError):
            if sha256_of(path) == expected["sha256"]:
                continue
        return f"{path}: its bytes changed since it was written (SHA-256)"
    return None


def _digest(files: dict[str, dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def sync(path: Path) -> None:
    """Push a folder's list of names, or a file, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
