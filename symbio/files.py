"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError

_HASH_BLOCK = 1 << 20


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty sibling folder that replaces `path` when the block ends without error.

    On any error, Ctrl-C included, the sibling is removed and `path` stays what it was.

    Raises:
        SymbioError: the disk is full, or the place cannot be written.
    """
    with _disk_errors_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        aside.chmod(0o755)
        try:
            yield aside
            _swap(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a sibling file that replaces `path` when the block ends without error.

    Raises:
        SymbioError: the disk is full, or the place cannot be written.
    """
    with _disk_errors_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            yield aside
            _sync(aside)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole; NaN and infinities are refused (ValueError)."""
    # Piece by piece: the index of a large data set is not held a second time as text.
    pieces = json.JSONEncoder(indent=1, sort_keys=True, allow_nan=False).iterencode(value)
    with whole_file(path) as aside, aside.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
        file.write("\n")


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file that symbio wrote; `what` says in words what it is.

    Raises:
        SymbioError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SymbioError(f"{path}: no such file ({what})") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise SymbioError(
            f"{path}: {what} is not readable JSON ({error}); make it again"
        ) from error


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process left beside `path` while writing it."""
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


def _swap(aside: Path, path: Path) -> None:
    """Put `aside` where `path` is; the old folder is removed after the new one stands."""
    if path.exists():
        old = path.with_name(f".{path.name}.old.{os.getpid()}.part")
        os.rename(path, old)
        try:
            os.rename(aside, path)
        except OSError:
            os.rename(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(aside, path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def _disk_errors_named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            free = shutil.disk_usage(path.parent).free / 2**20
            raise SymbioError(
                f"{path}: the disk is full ({free:.0f} MiB free); nothing was changed there. "
                "Free some space and run the same command again."
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise SymbioError(f"{path}: cannot be written ({error.strerror})") from error
        raise
