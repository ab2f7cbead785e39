"""Folders of the project: what they weigh, when they changed, and their going. No link is followed.

A folder is renamed before it is removed, so that half of it is never taken for all of it; what an
interrupted removal left behind goes with the next.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError

_ASIDE = ".gc.part"


@dataclass(frozen=True, slots=True)
class Weight:
    """Of a file, or of a folder with all that is in it."""

    size: int
    """Bytes that its going frees: files with another hard link elsewhere count nothing."""
    changed: float
    """Seconds since 1970: the last change of a content, a name or a mode in it."""


def weight_of(path: Path) -> Weight:
    """Weigh a path; what is not there weighs nothing and never changed."""
    size, changed = 0, 0.0
    for status in _statuses(path):
        # The time of a content can be set back, that of the inode cannot.
        changed = max(changed, status.st_mtime, status.st_ctime)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            size += status.st_size
    return Weight(size, changed)


def folders_in(parent: Path) -> list[Path]:
    """Folders in `parent` by name, no hidden ones and no links; none if it is a link itself."""
    if parent.is_symlink() or not parent.is_dir():
        return []
    return sorted(
        path
        for path in parent.iterdir()
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    )


def is_below(path: Path, root: Path) -> bool:
    """Whether a path, links resolved, lies in the project and is not the project itself."""
    whole, project = path.resolve(), root.resolve()
    return whole != project and whole.is_relative_to(project)


def remove_folder(path: Path, root: Path) -> None:
    """Remove a folder of the project `root`; it may be gone already.

    Raises:
        SymbioError: it is a link, lies outside the project, or cannot be removed.
    """
    if path.is_symlink() or not is_below(path, root):
        raise SymbioError(f"{path}: is a link, or lies outside {root}; it is not touched")
    aside = path.with_name(f".{path.name}{_ASIDE}")
    try:
        if path.is_dir():
            if aside.exists():
                shutil.rmtree(aside)
            path.rename(aside)
        if aside.exists():
            shutil.rmtree(aside)
    except OSError as error:
        raise SymbioError(
            f"{path}: cannot be removed ({error.strerror}); the same command goes on"
        ) from error


def remove_leftovers(parent: Path) -> None:
    """Remove what an interrupted removal left in `parent`."""
    if not parent.is_symlink():
        for path in parent.glob(f".*{_ASIDE}"):
            if not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)


def _statuses(path: Path) -> Iterator[os.stat_result]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    yield status
    if stat.S_ISDIR(status.st_mode):
        # A folder that is being written to loses and gains files under our eyes.
        for folder, folders, files in os.walk(path, onerror=lambda error: None):
            for name in (*folders, *files):
                try:
                    yield os.lstat(os.path.join(folder, name))
                except FileNotFoundError:
                    continue
