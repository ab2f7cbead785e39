"""Two trainings of one recipe: how far their weights differ, and where their losses part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from symbio.train.records.journal import read_journal

LOSS = "train/loss"


@dataclass(frozen=True, slots=True)
class Parted:
    """The first step whose value is not as recorded."""

    step: int
    recorded: str
    """All its digits; text, for a loss may be no number."""
    now: str

    def __str__(self) -> str:
        return f"at step {self.step}: {self.now} instead of {self.recorded}"


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """Of one tensor of the network, between two trainings."""

    name: str
    largest: float
    """Largest absolute difference of an element; infinite where shapes or names differ."""
    scale: float
    """Largest absolute value of a recorded element."""


def weights_difference(recorded: Path, now: Path) -> list[TensorDifference]:
    """Tensors of two safetensors files that are not equal, those that differ most first.

    A NaN counts as equal to a NaN.
    """
    import torch
    from safetensors.torch import load_file

    before, after = load_file(recorded), load_file(now)
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one is None or other is None or one.shape != other.shape:
            found.append(TensorDifference(name, math.inf, 0.0))
            continue
        one, other = one.double(), other.double()
        apart = (one - other).abs()
        apart[(one == other) | (one.isnan() & other.isnan())] = 0.0
        largest = float(torch.nan_to_num(apart, nan=math.inf).max()) if apart.numel() else 0.0
        if largest > 0:
            found.append(TensorDifference(name, largest, float(one.abs().max())))
    return sorted(found, key=lambda each: -each.largest)


def losses_of(run: Path) -> dict[int, float]:
    """Step -> training loss of the run in a checkpoint folder."""
    values = {
        int(record["step"]): float(record["metrics"][LOSS])
        for record in read_journal(run)
        if LOSS in record["metrics"]
    }
    return values


def parted(recorded: Mapping[int, float], now: Mapping[int, float]) -> Parted | None:
    """Where two runs part, among the steps that both have; None: they do not."""
    for step in sorted(recorded.keys() & now.keys()):
        before, after = recorded[step], now[step]
        if before != after and not (math.isnan(before) and math.isnan(after)):
            return Parted(step, repr(before), repr(after))
    return None
