"""Sealed folders: a manifest with the SHA-256 of each file, so that damage is found before use."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from symbio.files import sha256_of, write_json

MANIFEST = "manifest.json"


def files_of(folder: Path) -> list[Path]:
    """The files to be sealed in `folder`, relative to it, in a fixed order."""
    return sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    )


def entries(folder: Path, files: list[Path]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of `files` (relative to `folder`), after pushing each to the disk."""
    found = {}
    for file in files:
        path = folder / file
        _sync(path)
        found[str(file)] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    return found


def seal(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    """Write the manifest of `folder` and push the folder itself to the disk."""
    write_json(folder / MANIFEST, {"files": files, "sha256": _digest(files)})
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        _sync(path)


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


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
