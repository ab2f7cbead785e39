"""What a run cost, kept for the plan of the next one: checkpoints/measured/{dataset}.jsonl."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from symbio.progress import say

FEWEST_STEPS = 5
"""With fewer steps nothing is measured: the first ones are not like the others."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of the ranks, from their start to their end."""

    fingerprint: str
    """Of the run."""
    shape: str
    """Of what decides memory and speed (`symbio.train.fingerprint.shape_of`)."""
    ranks: int
    device: str
    peak_bytes: int
    """The most memory that a rank took (`symbio.train.device.bytes_peak`)."""
    start_bytes: int
    """What that rank held before it built network and engine."""
    step_s: float
    """Median."""
    frames_per_s: float
    """Of the global batch."""
    checkpoint_bytes: int | None
    """Of the last checkpoint; None where none was written."""
    checkpoint_s: float | None
    """How long training stood still for it."""
    steps: int
    """Steps taken."""


def append_measurement(path: Path, measurement: Measurement) -> None:
    """Add a whole line; a full disk is said and survived."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    line = json.dumps({"time": now, **asdict(measurement)}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, ("\n" * torn + line).encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        say(f"{path}: what the run cost is not noted ({error.strerror})")
