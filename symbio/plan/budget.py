"""Time, disk and money of a run, and what the last run of the same shape took."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.params import TrainParams
from symbio.train.paths import Paths

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes below checkpoints/."""

    checkpoint: int
    """One of them."""
    kept: int
    """How many stay; one more is written beside them."""
    network: int
    """The best network, and the exported one."""
    free: int

    @property
    def needed(self) -> int:
        """At the fullest moment."""
        return self.checkpoint * (self.kept + 1 if self.kept else 0) + 2 * self.network


@dataclass(frozen=True, slots=True)
class Duration:
    """How long training will take."""

    step_s: float
    source: str
    """Where the number is from, in words."""


def disk_of(train: TrainParams, num_parameters: int, buffers: int, paths: Paths) -> Disk:
    """What the checkpoints of a run take.

    A checkpoint holds weights and two moments in float32; under stages 1 and 2 the weights twice,
    once whole and once in the ranks' parts; and the averaged weights.
    """
    weights = 4 * num_parameters
    copies = 4 if train.zero_stage in (1, 2) else 3
    averaged = train.ema_decay > 0
    checkpoint = weights * (copies + averaged) + buffers * (2 + averaged)
    written = train.steps // train.checkpoint_every
    place = paths.run
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    kept = min(train.keep_checkpoints, written)
    return Disk(checkpoint, kept, weights + buffers, free)


def last_measured(path: Path, shape: str, device: str) -> list[dict[str, Any]]:
    """Measurements of runs of this shape on this kind of device, newest first.

    A line that is torn or not understood counts as absent.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["shape"] == shape and entry["device"] == device:
                found.append(entry)
        except (ValueError, KeyError, TypeError):
            continue
    return found[::-1]


def cost(seconds: float, hosts: int, price_an_hour: float) -> float:
    """In the currency of the price, which is for one host."""
    return seconds / _HOUR_S * hosts * price_an_hour


def duration_text(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
