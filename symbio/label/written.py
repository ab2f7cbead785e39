"""Labels that were written elsewhere: `teacher.model: folder:PATH` takes them from a folder.

For each frame `{key}.png`, one channel of 8 or 16 bits with ADE20K's classes 0..149 and 255 =
ignore, of the frame's own size; beside it, where there is one, `{key}.confidence.png`, 8 bits,
255 = sure. Without it every pixel that has a class is sure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import IGNORE, NUM_CLASSES
from symbio.data.images import decode_labels
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.progress import track

PREFIX = "folder:"
_THREADS = 4
_SHOWN = 3
"""Frames named of each kind of fault."""


@dataclass(frozen=True, slots=True)
class Written:
    """A folder of labels."""

    folder: Path

    def label_of(
        self, key: str, size: tuple[int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Class and confidence of one frame, uint8 (H, W) both; confidence is 0 where ignored.

        Raises:
            SymbioError: the label is missing, broken, of another size or has other values.
        """
        label = self._decode(self.label_file(key), size)
        wrong = label[(label >= NUM_CLASSES) & (label != IGNORE)]
        if wrong.size:
            raise _Fault(
                "values that are no ADE20K class (0..149, or 255 = ignore)",
                f"{self.label_file(key)} ({wrong.size} pixels, such as {int(wrong.max())})",
            )
        confidence = np.full(size, 255, np.uint8)
        if self.confidence_file(key).is_file():
            found = self._decode(self.confidence_file(key), size)
            if found.dtype != np.uint8:
                raise _Fault("a confidence of 16 bits, expected 8", f"{self.confidence_file(key)}")
            confidence = found.astype(np.uint8)
        return label.astype(np.uint8), np.where(label == IGNORE, np.uint8(0), confidence)

    def label_file(self, key: str) -> Path:
        """Where a frame's classes are."""
        return self.folder / f"{key}.png"

    def confidence_file(self, key: str) -> Path:
        """Where a frame's confidence may be."""
        return self.folder / f"{key}.confidence.png"

    def _decode(self, path: Path, size: tuple[int, int]) -> NDArray[np.uint8] | NDArray[np.uint16]:
        if not path.is_file():
            raise _Fault("a missing file", str(path))
        try:
            found = decode_labels(path.read_bytes(), str(path))
        except SymbioError as error:
            raise _Fault("a file that is no single-channel picture", str(error)) from error
        if found.shape != size:
            of = f"{path} ({found.shape[0]}x{found.shape[1]}, the frame {size[0]}x{size[1]})"
            raise _Fault("another size than the frame's", of)
        return found


class _Fault(SymbioError):
    """What is wrong with one frame's label."""

    def __init__(self, kind: str, where: str) -> None:
        super().__init__(f"teacher.model: {kind}: {where}")
        self.kind = kind
        self.where = where


def written_labels(name: str, root: Path) -> Written | None:
    """The folder that `teacher.model` names with `folder:`, or None where it names a model.

    Raises:
        SymbioError: there is no such folder.
    """
    if not name.startswith(PREFIX):
        return None
    folder = root / name.removeprefix(PREFIX)
    if not folder.is_dir():
        raise SymbioError(
            f"teacher.model: {name!r}: there is no folder {folder}; give one that holds a "
            "{key}.png for each frame (docs/teacher.md)"
        )
    return Written(folder)


def check_written(written: Written, prepared: Shards) -> dict[str, str]:
    """Read the labels of all frames, and name them by their content.

    Returns:
        SHA-256 over names and bytes of all labels and of all confidences.

    Raises:
        SymbioError: labels are missing, broken, of another size or hold other values; says of
            each kind how many and the first few.
    """
    infos = {key: prepared.info(key) for split in prepared.splits.values() for key in split}
    frames = [(key, (int(info["height"]), int(info["width"]))) for key, info in infos.items()]

    def fault_of(frame: tuple[str, tuple[int, int]]) -> _Fault | None:
        try:
            written.label_of(*frame)
        except _Fault as fault:
            return fault
        return None

    faults: dict[str, list[str]] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for fault in track(pool.map(fault_of, frames), "check the written labels", len(frames)):
            if fault is not None:
                faults.setdefault(fault.kind, []).append(fault.where)
    if faults:
        lines = [
            f"{kind}: {len(where)} frames, first {', '.join(where[:_SHOWN])}"
            for kind, where in sorted(faults.items())
        ]
        raise SymbioError(
            "\n  ".join([f"{written.folder}: cannot be the labels of {len(frames)} frames", *lines])
        )
    keys = [key for key, _ in frames]
    return {
        "labels": _digest(map(written.label_file, keys)),
        "confidences": _digest(map(written.confidence_file, keys)),
    }


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.name}:{len(data)};".encode())
            digest.update(data)
    return digest.hexdigest()
