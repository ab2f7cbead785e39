"""What a run made, noted beside its record: tags that are known only at its end.

A file of its own: the record is rewritten all the time by the process that carries it to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import read_json, write_json

_FILE = "made.json"


def note_made(folder: Path, tags: Mapping[str, str]) -> None:
    """Note tags of the run in `folder`; the store gets them when the run ends."""
    write_json(folder / _FILE, dict(tags))


def read_made(folder: Path) -> dict[str, str]:
    """The tags noted, none where nothing was made."""
    try:
        return dict(read_json(folder / _FILE, "what a run made"))
    except SymbioError:
        return {}


def forget_made(folder: Path) -> None:
    """A run begins."""
    (folder / _FILE).unlink(missing_ok=True)
