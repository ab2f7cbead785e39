"""The list of a package's files: which belong to it, how large they are, and their SHA-256.

It travels in the package and is checked where the package is loaded, so it needs the standard
library only. The manifest's own SHA-256 is kept elsewhere, as a tag of the registered version:
with it, a package is exactly what was registered.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import sha256_of, write_json

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 * 2**20
"""More than a package's manifest ever has: one of 100 files has 15 kB."""

_HEX = re.compile(r"[0-9a-f]{64}")
_MLFLOW_ADDS = "registered_model_meta"
_MAX_NAME = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package."""

    sha256: str
    size: int
    """Bytes."""


def write_manifest(folder: Path) -> str:
    """Write `manifest.json` over every other file of `folder`, whole; the manifest's SHA-256.

    Raises:
        SymbioError: the folder holds a symbolic link, or a name that a manifest must not have.
    """
    names = sorted(_files(folder))
    for name in names:
        require_inside(name, folder)
    files = {
        name: {"sha256": sha256_of(folder / name), "size": (folder / name).stat().st_size}
        for name in names
    }
    write_json(folder / MANIFEST, {"files": files})
    return sha256_of(folder / MANIFEST)


def check_manifest(folder: Path, sha256: str | None) -> None:
    """See that `folder` holds the files of its manifest, their very bytes, and no other file.

    Let alone is what loading a package in place adds to it: Python's `__pycache__` and MLflow's
    `registered_model_meta`. So the check tells damage and additions; what a folder that was just
    downloaded runs is safe because only files of the manifest are ever downloaded
    (`symbio.predict.source`).

    Args:
        folder: of the package.
        sha256: of the manifest, as it was registered; None: unknown.

    Raises:
        SymbioError: names the file that is missing, unknown, changed, a link, or outside; or the
            manifest, where it is missing, changed or unreadable.
    """
    entries = read_manifest(folder, sha256)
    found = {name for name in _files(folder) if not added_by_loading(name)}
    for name in sorted(found - entries.keys()):
        raise SymbioError(f"{folder / name}: is not in {MANIFEST}; fetch the package again")
    for name, entry in sorted(entries.items()):
        path = folder / name
        if name not in found:
            raise SymbioError(
                f"{path}: no such file, and {MANIFEST} lists it; fetch the package again"
            )
        check_file(path, entry)


def read_manifest(folder: Path, sha256: str | None) -> dict[str, Entry]:
    """The files that the manifest of `folder` lists, by their POSIX paths relative to it.

    Raises:
        SymbioError: there is no manifest, it is a link, is not the registered one, is unreadable,
            or lists a name that leaves the folder.
    """
    path = folder / MANIFEST
    if path.is_symlink():
        raise SymbioError(f"{path}: is a symbolic link; a package has none")
    if not path.is_file():
        raise SymbioError(f"{path}: no such file (the list of the package's files)")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise SymbioError(
            f"{path}: has {path.stat().st_size} bytes; a manifest has {MAX_MANIFEST_BYTES} at most"
        )
    text = path.read_bytes()
    digest = sha256_of(path)
    if sha256 is not None and digest != sha256:
        raise SymbioError(
            f"{path}: its SHA-256 is {digest[:12]}..., that of the registered version is "
            f"{sha256[:12]}...: the manifest was changed, or is another version's"
        )
    try:
        listed = json.loads(text)["files"]
        return {require_inside(name, path): _entry(value) for name, value in listed.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SymbioError(f"{path}: is no manifest ({type(error).__name__}: {error})") from error


def check_file(path: Path, entry: Entry) -> None:
    """See that a file has the size and the bytes that the manifest says.

    Raises:
        SymbioError: it is a link, is missing, or has other bytes.
    """
    if path.is_symlink():
        raise SymbioError(f"{path}: is a symbolic link; a package has none")
    if not path.is_file():
        raise SymbioError(f"{path}: no such file, and {MANIFEST} lists it")
    size = path.stat().st_size
    if size != entry.size:
        raise SymbioError(
            f"{path}: has {size} bytes, {MANIFEST} says {entry.size}: it is truncated or was "
            "changed"
        )
    digest = sha256_of(path)
    if digest != entry.sha256:
        raise SymbioError(
            f"{path}: its SHA-256 is {digest[:12]}..., {MANIFEST} says {entry.sha256[:12]}...: "
            "the file was changed"
        )


def require_inside(name: Any, where: object) -> str:
    """The name of a package's file, if it is a plain relative POSIX path below the package.

    Args:
        name: as a manifest or an artifact server lists it.
        where: who lists it, for the message.

    Raises:
        SymbioError: it is absolute, has `..`, a backslash, a drive or a control character, is
            empty or longer than 512 characters.
    """
    reason = _refused(name)
    if reason is not None:
        raise SymbioError(f"{where}: lists a file {name!r:.200}, which {reason}; it is refused")
    return str(name)


def added_by_loading(name: str) -> bool:
    """Whether Python or MLflow puts a file of this name into a package that it loads in place."""
    parts = name.split("/")
    compiled = len(parts) > 1 and parts[-2] == "__pycache__" and parts[-1].endswith(".pyc")
    return compiled or name == _MLFLOW_ADDS


def _entry(value: Any) -> Entry:
    sha256, size = value["sha256"], value["size"]
    if not isinstance(sha256, str) or not _HEX.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is no SHA-256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{size!r:.80} is no size")
    return Entry(sha256, size)


def _refused(name: Any) -> str | None:
    """Why a name must not be a file's; None: it may."""
    if not isinstance(name, str) or not name:
        return "is no name"
    if len(name) > _MAX_NAME:
        return f"is longer than {_MAX_NAME} characters"
    # Control and formatting characters, lone surrogates: names that look like others.
    if any(unicodedata.category(char).startswith("C") for char in name):
        return "has a control character"
    if "\\" in name:
        return "has a backslash"
    if ":" in name:
        return "has a colon, like a drive or an address"
    if name.startswith("/"):
        return "is absolute"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "leaves the package's folder"
    return None


def _files(folder: Path) -> Iterator[str]:
    """POSIX paths of all files below `folder`, but for the manifest; links are not followed."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as found:
            for one in found:
                name = f"{below}{one.name}"
                if one.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif not one.is_file(follow_symlinks=False):
                    raise SymbioError(f"{folder / name}: is a link or no plain file; refused")
                elif name != MANIFEST:
                    yield name
