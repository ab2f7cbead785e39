"""Split lists: one frame a line, columns apart by white space (the form of BTS and its heirs)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.prepare.entry import Missing

FOLDERS = ("", "splits", "data_splits", "train_test_inputs", "filenames")
"""Where the official lists are looked for, below the raw folder."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank."""

    number: int
    """Counted from 1, blank lines included."""
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitList:
    """A list file."""

    path: Path
    lines: list[Line]
    sha256: str

    def at(self, line: Line) -> str:
        """Names a line in messages."""
        return f"{self.path}, line {line.number}"

    def facts(self) -> dict[str, Any]:
        """Name, number of frames and SHA-256, for the header."""
        return {"file": self.path.name, "frames": len(self.lines), "sha256": self.sha256}


def read_list(path: Path, columns: int = 2) -> SplitList:
    """Read a list; blank lines and Windows line ends are fine.

    Raises:
        SymbioError: the file is missing, is not text, is empty, or a line has too few columns.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SymbioError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SymbioError(f"{path}: is not a UTF-8 text file ({error})") from error
    # Only \n, \r\n and \r end a line here: str.splitlines would also cut at U+2028 and others.
    texts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [Line(n, tuple(t.split())) for n, t in enumerate(texts, start=1) if t.strip()]
    if not lines:
        raise SymbioError(f"{path}: the list is empty")
    result = SplitList(path, lines, hashlib.sha256(data).hexdigest())
    for line in lines:
        if len(line.columns) < columns:
            raise SymbioError(
                f"{result.at(line)}: expected {columns} or more columns (image, depth, focal), "
                f"found {' '.join(line.columns)!r}"
            )
    return result


def find_list(raw: Path, named: str | None, official: Sequence[str], key: str) -> Path | None:
    """The list that params name (relative to `raw`), or the first official one that is there.

    Raises:
        SymbioError: params name a file that is missing; `key` is the parameter.
    """
    if named is not None:
        if not (raw / named).is_file():
            raise SymbioError(f"{key}: no file {raw / named}")
        return raw / named
    places = (raw / folder / name for name in official for folder in FOLDERS)
    return next((place for place in places if place.is_file()), None)


def focal_of(line: Line) -> float | None:
    """Focal length (pixels) in the third column; None if there is none, or a path."""
    try:
        return float(line.columns[2])
    except (IndexError, ValueError):
        return None


class Finder:
    """Looks for listed files below several folders, and collects what is missing."""

    def __init__(self, raw: Path, listing: SplitList, split: str) -> None:
        self._raw = raw
        self._listing = listing
        self._split = split
        self.missing: list[Missing] = []
        self._seen: dict[str, int] = {}
        self._there: dict[str, bool] = {}

    def look(self, names: Sequence[str], folders: Sequence[str]) -> Path | None:
        """The first of `names` in the first of `folders` (below the raw folder) that has it."""
        there = [folder for folder in folders if self._is_there(folder)]
        places = (self._raw / folder / name for name in names for folder in there)
        return next((place for place in places if place.is_file()), None)

    def find(
        self, line: Line, kind: str, names: Sequence[str], folders: Sequence[str]
    ) -> Path | None:
        """As `look`; what is not found is noted by its first name, as `kind` of file."""
        found = self.look(names, folders)
        if found is None:
            self.note(line, kind, names[0])
        return found

    def note(self, line: Line, kind: str, name: str) -> None:
        """Note a missing file; `kind` is "image" or "depth"."""
        self.missing.append(Missing(self._split, kind, name, self._listing.at(line)))

    def repeats(self, line: Line, picture: str) -> int | None:
        """Number of the earlier line that names the same picture, or None."""
        first = self._seen.setdefault(picture, line.number)
        return None if first == line.number else first

    def _is_there(self, folder: str) -> bool:
        # Lists have tens of thousands of lines, and few of the usual folders are there.
        if folder not in self._there:
            self._there[folder] = (self._raw / folder).is_dir()
        return self._there[folder]


def looked_in(folders: Sequence[str]) -> str:
    """Says where files were looked for, for messages."""
    named = [f"{folder}/" for folder in folders if folder]
    return f"looked in the raw folder, {', '.join(named)}; "
