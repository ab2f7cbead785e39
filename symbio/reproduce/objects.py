"""DVC's objects as plain files: what a hash names, whether its bytes are there, and putting them.

An output's hash names either a file's bytes or, ending in `.dir`, a list of the files of a folder
with their hashes. Both lie in the cache under their own MD5, so each can be checked by itself; DVC
trusts a file of its cache once it has made it read-only. https://dvc.org/doc/user-guide/project-
structure/internal-files
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from symbio.errors import SymbioError
from symbio.files import whole_folder
from symbio.progress import track

_BLOCK = 1 << 20
_FOLDER = ".dir"
_IGNORED = ("__pycache__", "*.pyc", ".*.part", ".dvcignore")
"""What .dvcignore keeps from DVC."""


@dataclass(frozen=True, slots=True)
class Out:
    """An output as DVC recorded it."""

    path: str
    """Relative to the project's root."""
    md5: str
    """Of its bytes; with `.dir`, of its list of files."""
    files: Mapping[str, str] | None
    """Path within the output -> MD5; "" where it is one file. None: the list is not there."""
    missing: tuple[str, ...] = ()
    """Files (relative to the root) whose bytes are not in the cache."""
    damaged: tuple[str, ...] = ()
    """Files whose bytes in the cache are not those of their hash."""

    @property
    def whole(self) -> bool:
        """Whether the cache has all of it."""
        return self.files is not None and not self.missing and not self.damaged


@dataclass(frozen=True, slots=True)
class Difference:
    """Files of an output that are not as recorded, by their paths within it."""

    same: int
    changed: tuple[str, ...] = field(default=())
    missing: tuple[str, ...] = field(default=())
    extra: tuple[str, ...] = field(default=())

    @property
    def files(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.changed, *self.missing, *self.extra)


def survey(cache: Path, path: str, md5: str) -> Out:
    """Look at an output in the cache, byte by byte.

    Args:
        cache: DVC's folder.
        path: of the output, relative to the project's root.
        md5: as in dvc.lock.

    Raises:
        SymbioError: the list of its files names one outside the output.
    """
    if not md5.endswith(_FOLDER):
        state = _state(cache, md5)
        one = {state: (path,)} if state else {}
        return Out(path, md5, {"": md5}, **one)
    state = _state(cache, md5)
    if state is not None:
        return Out(path, md5, None, **{state: (f"{path} (the list of its files)",)})
    listed = json.loads(_place(cache, md5).read_text(encoding="utf-8"))
    files = {str(one["relpath"]): str(one["md5"]) for one in listed}
    for name in files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise SymbioError(f"{path}: DVC's list of its files names {name!r}, outside of it")
    found: dict[str, list[str]] = {"missing": [], "damaged": []}
    for name, each in track(files.items(), f"verify {path}", len(files)):
        state = _state(cache, each)
        if state is not None:
            found[state].append(f"{path}/{name}")
    return Out(path, md5, files, tuple(found["missing"]), tuple(found["damaged"]))


def put(cache: Path, out: Out, root: Path) -> None:
    """Make `root`/`out.path` what was recorded, whole; `out` must be whole in the cache.

    Files are linked to the cache where the disk allows it, for nobody writes into an output.
    """
    assert out.files is not None
    target = root / out.path
    if "" in out.files:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link(_place(cache, out.md5), target)
        return
    with whole_folder(target) as aside:
        for name, md5 in out.files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            _link(_place(cache, md5), aside / name)


def compare(out: Out, root: Path) -> Difference | None:
    """How `root`/`out.path` differs from what was recorded.

    Returns:
        None where it is not known: only the hash of the whole is recorded, and it is another.
    """
    target = root / out.path
    if out.files is None:
        return Difference(1) if target.is_dir() and md5_of_folder(target) == out.md5 else None
    found = {"": target} if target.is_file() else dict(_files(target))
    same, changed = 0, []
    for name in sorted(out.files.keys() & found.keys()):
        if md5_of(found[name]) == out.files[name]:
            same += 1
        else:
            changed.append(name)
    missing = tuple(sorted(out.files.keys() - found.keys()))
    return Difference(same, tuple(changed), missing, tuple(sorted(found.keys() - out.files.keys())))


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file's bytes, read in blocks."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def md5_of_folder(folder: Path) -> str:
    """What DVC calls a folder with these files: the MD5 of their list, and `.dir`."""
    files = sorted(_files(folder))
    listed = [
        {"md5": md5_of(path), "relpath": name}
        for name, path in track(files, f"hash {folder}", len(files))
    ]
    text = json.dumps(listed, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + _FOLDER


def _state(cache: Path, md5: str) -> str | None:
    """ "missing", "damaged", or None: the bytes are there."""
    place = _place(cache, md5)
    if not place.is_file():
        return "missing"
    return None if md5_of(place) == md5.removesuffix(_FOLDER) else "damaged"


def _place(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(fnmatch.fnmatch(part, one) for part in name.parts for one in _IGNORED)
        if path.is_file() and not hidden:
            yield name.as_posix(), path


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
