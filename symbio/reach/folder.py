"""A local folder, tried with a tiny file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from symbio.errors import SymbioError


def check_folder(folder: Path, what: str) -> None:
    """Write a file that is gone afterwards in `folder`, or in what it would be made in.

    Raises:
        SymbioError: it cannot be done.
    """
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"symbio reach\n")
            file.flush()
    except OSError as error:
        raise SymbioError(f"{folder} ({what}): cannot be written ({error.strerror})") from error
