"""DVC's cache in the project: its objects, which of them are needed, and its memory of runs.

An object is a file, files/md5/ab/cdef...; a folder is an object ".dir" that lists the files in it
(relpath and md5). The run cache, runs/ab/abcd.../HASH, remembers what a stage made of which inputs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.gc.checkouts import hashes_in
from symbio.gc.item import OBJECTS, RECENT, RUN_CACHE, Item, Marks, is_recent
from symbio.worktree import cache_of

_PREFIX, _REST = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{30}(?:\.dir)?")


@dataclass(frozen=True, slots=True)
class Object:
    """A file in the cache."""

    size: int
    """Bytes that its going frees: none where a checkout has the file too, as a hard link."""
    changed: float
    """Seconds since 1970: of the content or, as a copy keeps its time, of the inode."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Of the run cache: what a stage made once."""

    hashes: set[str]
    """All that it names."""
    outputs: dict[str, str]
    """Path -> hash."""


@dataclass(frozen=True, slots=True)
class Cache:
    """All that is in it."""

    folder: Path
    objects: dict[str, Object]
    """By hash; those of folders end in ".dir"."""
    entries: dict[Path, Entry]
    """By file."""


def read_cache(root: Path) -> Cache | None:
    """What is in the project's cache; None: it has none.

    Raises:
        SymbioError: the cache lies outside the project, where others may use it.
    """
    if not (root / ".dvc").is_dir():
        return None
    folder = cache_of(root)
    if not folder.is_relative_to(root.resolve()):
        raise SymbioError(
            f"{folder}: DVC's cache lies outside this project, where others may need it; it is "
            "left alone"
        )
    return None if not folder.is_dir() else _read(folder)


def cache_items(cache: Cache, needed: Marks, now: float) -> list[Item]:
    """The verdict on every entry and object.

    Args:
        cache: all that is in it.
        needed: hash -> why, of files and of folders.
        now: seconds since 1970.

    Raises:
        SymbioError: a folder that is needed is in the cache, but cannot be read.
    """
    marks = Marks(dict(needed.reasons))
    recent = [one for one, found in cache.objects.items() if is_recent(found.changed, now)]
    marks.mark(recent, RECENT)
    for one in list(marks.reasons):
        if one.endswith(".dir") and one in cache.objects:
            marks.mark(files_of(cache.folder, one), str(marks.why(one)))
    paths = {one: path for entry in cache.entries.values() for path, one in entry.outputs.items()}
    objects = [
        Item(OBJECTS, one, _called(one, paths), found.size, marks.why(one))
        # Folders first: a list of files that are gone would be worth nothing.
        for one, found in sorted(cache.objects.items(), key=lambda item: item[0][-4:] != ".dir")
    ]
    going = {one.key for one in objects if one.why is None}
    return [*_entries(cache, going), *objects]


def files_of(folder: Path, name: str) -> set[str]:
    """Hashes of the files in a cached folder, `name` is its own.

    Raises:
        SymbioError: it is not readable.
    """
    path = object_file(folder, name)
    try:
        return {str(one["md5"]) for one in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SymbioError(
            f"{path}: the list of a folder that is needed is not readable ({error}), so what it "
            "needs is not known; remove that file and `dvc fetch` it again"
        ) from error


def object_file(folder: Path, name: str) -> Path:
    """Where the cache in `folder` has the object `name`."""
    return folder / "files" / "md5" / name[:2] / name[2:]


def _read(folder: Path) -> Cache:
    objects = {}
    for prefix in _children(folder / "files" / "md5"):
        if _PREFIX.fullmatch(prefix.name):
            for path in _children(prefix):
                if _REST.fullmatch(path.name) and not path.is_symlink() and path.is_file():
                    status = path.stat()
                    size = status.st_size if status.st_nlink == 1 else 0
                    changed = max(status.st_mtime, status.st_ctime)
                    objects[prefix.name + path.name] = Object(size, changed)
    entries = {}
    for path in sorted((folder / "runs").glob("*/*/*")):
        if path.is_file() and not path.is_symlink():
            text = path.read_text(encoding="utf-8", errors="replace")
            entries[path] = Entry(hashes_in(text), dict(_outputs(text)))
    return Cache(folder, objects, entries)


def _outputs(text: str) -> list[tuple[str, str]]:
    """Paths and hashes of the outputs that an entry of the run cache names."""
    _, _, outs = text.partition("\nouts:")
    return re.findall(r"path: (\S+)\n(?:  .*\n)*?  md5: ([0-9a-f]{32}(?:\.dir)?)", outs)


def _entries(cache: Cache, going: set[str]) -> Iterator[Item]:
    for path, entry in cache.entries.items():
        key = path.relative_to(cache.folder).as_posix()
        called = " + ".join(entry.outputs) or key
        why = None if entry.hashes & going else "its outputs stay"
        yield Item(RUN_CACHE, key, called, path.stat().st_size, why)


def _called(name: str, paths: Mapping[str, str]) -> str:
    known = paths.get(name)
    return f"{name[:8]}{name[32:]}" + (f" ({known})" if known else "")


def _children(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else ()
