"""Labelled frames on their way: whole files in a work folder, so that an interrupted run goes on.

A chunk is a fixed run of keys, whatever the number of processes: who labels it changes nothing.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from symbio.files import whole_file
from symbio.label.measure import Measures

CHUNK_FRAMES = 16
"""Frames of a chunk: what an interruption loses at most, for each process."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The pseudo-label of one frame."""

    key: str
    label: bytes
    """class.png: uint8 (H, W), 255 = ignore."""
    confidence: bytes
    """confidence.png: uint8 (H, W), 0..255."""
    size: tuple[int, int]
    """Height and width, pixels."""
    measures: Measures


def chunks_of(keys: Sequence[str]) -> list[list[str]]:
    """Consecutive runs of at most 16 keys."""
    return [list(keys[at : at + CHUNK_FRAMES]) for at in range(0, len(keys), CHUNK_FRAMES)]


def chunk_path(folder: Path, number: int) -> Path:
    """Where chunk `number` is kept."""
    return folder / f"chunk-{number:06d}.npz"


def write_chunk(path: Path, frames: Sequence[Labelled]) -> None:
    """Write a chunk whole."""
    arrays: dict[str, np.ndarray] = {}
    for frame in frames:
        arrays[f"{frame.key}/label"] = np.frombuffer(frame.label, np.uint8)
        arrays[f"{frame.key}/confidence"] = np.frombuffer(frame.confidence, np.uint8)
        arrays[f"{frame.key}/size"] = np.array(frame.size, np.int64)
        for field in fields(Measures):
            arrays[f"{frame.key}/measures/{field.name}"] = getattr(frame.measures, field.name)
    with whole_file(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_chunk(path: Path, keys: Sequence[str]) -> list[Labelled] | None:
    """The frames of a chunk, or None where the file is missing, damaged or of other keys."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return [_frame(stored, key) for key in keys]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def is_done(path: Path, keys: Sequence[str]) -> bool:
    """Whether the chunk is there and sound."""
    return path.is_file() and read_chunk(path, keys) is not None


def _frame(stored: np.lib.npyio.NpzFile, key: str) -> Labelled:
    height, width = (int(side) for side in stored[f"{key}/size"])
    counts = (stored[f"{key}/measures/{field.name}"] for field in fields(Measures))
    return Labelled(
        key,
        stored[f"{key}/label"].tobytes(),
        stored[f"{key}/confidence"].tobytes(),
        (height, width),
        Measures(*counts),
    )
