"""What of a reproduction is done: report.json, from which it goes on after an interruption."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.reproduce.result import Result

REPORT = "report.json"


@dataclass(slots=True)
class Book:
    """One reproduction, on disk."""

    folder: Path
    identity: dict[str, Any]
    """What is made again, and with which libraries: another identity is another reproduction."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the report says."""
    results: dict[str, Result] = field(default_factory=dict)
    """Finished stages by name."""

    def note(self, **facts: Any) -> None:
        """Add to the report, and write it."""
        self.facts |= facts
        self._write()

    def finish(self, result: Result) -> None:
        """A stage is done; it is not run again."""
        self.results[result.stage] = result
        self._write()

    def _write(self) -> None:
        stages = {name: one.as_dict() for name, one in self.results.items()}
        values = {**self.facts, "identity": self.identity, "stages": stages}
        write_json(self.folder / REPORT, values)


@contextlib.contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Hold a reproduction for the length of the block; freed when the holder dies.

    Raises:
        SymbioError: another process holds it.
    """
    if folder.exists() and not folder.is_dir():
        raise SymbioError(f"{folder}: is no folder; choose another (--into)")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SymbioError(
                f"{folder}: another process makes a version again there; wait for it, or choose "
                "another folder (--into)"
            ) from error
        yield
    finally:
        os.close(descriptor)


def open_book(folder: Path, identity: Mapping[str, Any]) -> Book:
    """The reproduction in `folder`, begun or to be begun.

    Raises:
        SymbioError: the folder holds something else.
    """
    path = folder / REPORT
    if not path.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise SymbioError(
                f"{folder}: is no reproduction and not empty; choose another folder (--into)"
            )
        return Book(folder, dict(identity))
    told = read_json(path, "the report of a reproduction")
    try:
        if told.pop("identity") != dict(identity):
            raise SymbioError(
                f"{folder}: holds another reproduction (another version, or other libraries); "
                "remove it, or choose another folder (--into)"
            )
        results = {name: Result.from_dict(one) for name, one in told.pop("stages").items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise SymbioError(
            f"{path}: is not the report of a reproduction ({error}); remove the folder"
        ) from error
    return Book(folder, dict(identity), told, results)
