"""Which frames each step saw: checkpoints/{dataset}/frames.jsonl.

One line a step, {"step": 7, "frames": [12, 3, ...]}: the step counted from 0 and the indices into
the training split, in the order of the global batch, as the ranks really loaded them. Each start
of the run appends {"from_step": n}; what an earlier start saw from step n on was lost with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.progress import say

FRAMES_FILE = "frames.jsonl"

MOST_FRAMES = 2**24
"""Indices travel between ranks as float32, which is exact below this."""


class FramesLog:
    """Appends a line a step; a full disk is reported once and costs lines, never the run."""

    def __init__(self, run: Path, from_step: int, num_frames: int) -> None:
        """Continue the log of `run` at step `from_step` of a split of `num_frames` frames.

        Raises:
            SymbioError: the split is too large to be logged exactly.
        """
        if num_frames > MOST_FRAMES:
            raise SymbioError(
                f"the training split has {num_frames} frames; at most {MOST_FRAMES} can be followed"
            )
        self._path = run / FRAMES_FILE
        self._complained = False
        # Written without a buffer: a line is with the system when `add` returns.
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        self._torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
        self._append({"from_step": from_step})

    def add(self, step: int, frames: Sequence[int]) -> None:
        """Log the frames of a step."""
        self._append({"step": step, "frames": list(frames)})

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if self._torn:
            line = b"\n" + line
        try:
            self._torn = os.write(self._file, line) < len(line)
        except OSError as error:
            if not self._complained:
                say(f"{self._path}: cannot be written ({error.strerror}); lines are being lost")
            self._complained = True


def read_frames(run: Path) -> dict[int, list[int]]:
    """Step (from 0) -> indices into the training split, in global order, of the steps that stand.

    Steps that a later start of the run took again are those of the later start.
    """
    path = run / FRAMES_FILE
    seen: dict[int, list[int]] = {}
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn by a kill or a full disk
        if "from_step" in record:
            seen = {step: frames for step, frames in seen.items() if step < record["from_step"]}
        else:
            seen[record["step"]] = record["frames"]
    return seen
