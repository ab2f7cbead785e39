"""Reading source files."""

from __future__ import annotations

from pathlib import Path

from symbio.errors import SymbioError


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises SymbioError naming the file if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SymbioError(f"{path}: cannot be read ({error.strerror})") from error
