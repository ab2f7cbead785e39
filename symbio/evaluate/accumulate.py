"""Scores of a split, gathered frame by frame and rank by rank.

A frame is a row under its key, so a frame scored twice (a sampler that pads the last batch, two
ranks with the same share) is an error and not a silently wrong mean; and since rows are added up
exactly (`math.fsum`) and pixels of classes are counted, the result is bit-equal on any number of
ranks and in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from symbio.errors import SymbioError
from symbio.evaluate.confusion import Confusion, confusion_matrix
from symbio.evaluate.metrics import NUM_SUMS, metrics_from_sums
from symbio.evaluate.protocol import Protocol
from symbio.ranks.sharing import gathered, summed_over_ranks

Rows = dict[str, tuple[float, ...]]
"""Key of a frame -> numbers."""


def insert_once(rows: Rows, new: Rows) -> None:
    """Add frames to `rows`. Raises SymbioError where a frame is there already."""
    twice = sorted(rows.keys() & new.keys())
    if twice:
        raise SymbioError(f"frames scored twice: {', '.join(twice[:5])} ({len(twice)} in all)")
    rows.update(new)


def gathered_rows(rows: Rows) -> Rows:
    """The rows of all ranks. Raises SymbioError where two ranks scored one frame."""
    together: Rows = {}
    for share in gathered(rows):
        insert_once(together, share)
    return together


def exact_sum(values: list[float]) -> float:
    """The sum, rounded once; so in any order the same."""
    # fsum refuses inf - inf; such a sum is NaN.
    return math.fsum(values) if all(map(math.isfinite, values)) else float(sum(values))


@dataclass
class DepthScores:
    """Per-frame depth sums of one predictor under one protocol."""

    protocol: Protocol
    rows: Rows = field(default_factory=dict)
    """Key of a frame -> its `metrics.depth_sums`."""

    def add(self, keys: Iterable[str], sums: Tensor) -> None:
        """Add frames.

        Args:
            keys: B keys.
            sums: float64 (B, len(SUMS)), from `metrics.depth_sums`.

        Raises:
            SymbioError: a frame was scored before.
        """
        for key, row in zip(keys, sums.tolist(), strict=True):
            insert_once(self.rows, {key: tuple(row)})

    def merge(self, other: DepthScores) -> None:
        """Add other frames. Raises SymbioError if a frame is in both."""
        insert_once(self.rows, other.rows)

    def gather(self) -> None:
        """Exchange rows, so that every rank holds all of them. Does nothing without ranks."""
        self.rows = gathered_rows(self.rows)

    def per_frame(self) -> dict[str, dict[str, float]]:
        """Each frame's metrics and number of pixels; NaN for a frame without valid pixels."""
        names = self.protocol.metrics
        values = metrics_from_sums(self._table(), names).tolist()
        return {
            key: {"pixels": row[0], **dict(zip(names, value, strict=True))}
            for (key, row), value in zip(self.rows.items(), values, strict=True)
        }

    def result(self) -> dict[str, float]:
        """The protocol's metrics over the split, and what was counted.

        Frames without valid pixels are counted and not averaged. One NaN prediction on a valid
        pixel makes every metric of its frame, and so of the split, NaN.
        """
        table = self._table()
        scored = table[table[:, 0] > 0]
        if self.protocol.aggregation == "pooled":
            total = [exact_sum(column) for column in scored.T.tolist()]
            pooled = torch.tensor(total, dtype=torch.float64)
            values = metrics_from_sums(pooled, self.protocol.metrics).tolist()
        else:
            columns = metrics_from_sums(scored, self.protocol.metrics).T.tolist()
            values = [exact_sum(column) / len(column) if column else math.nan for column in columns]
        return {
            **dict(zip(self.protocol.metrics, values, strict=True)),
            "num_images_scored": len(scored),
            "num_images_without_depth": len(table) - len(scored),
            "num_images_with_nan": int(scored.isnan().any(dim=1).sum()),
            "num_pixels": int(scored[:, 0].sum()),
        }

    def _table(self) -> Tensor:
        return torch.tensor(list(self.rows.values()), dtype=torch.float64).view(-1, NUM_SUMS)


@dataclass
class SemanticScores:
    """One confusion matrix over the frames of a split."""

    num_classes: int
    matrix: Tensor = field(init=False)
    """int64 (C, C + 1), see `confusion.confusion_matrix`."""

    def __post_init__(self) -> None:
        self.matrix = torch.zeros(self.num_classes, self.num_classes + 1, dtype=torch.int64)

    def add(self, prediction: Tensor, truth: Tensor) -> None:
        """Count the pixels of uint8 class maps of one shape; 255 in the truth is left out."""
        self.matrix += confusion_matrix(prediction, truth, self.num_classes).cpu()

    def merge(self, other: SemanticScores) -> None:
        """Add other pixels."""
        self.matrix += other.matrix

    def gather(self, device: torch.device | str = "cpu") -> None:
        """Sum over ranks, on a device that the process group can use; nothing without ranks."""
        self.matrix = summed_over_ranks(self.matrix, device)

    @property
    def num_pixels(self) -> int:
        """Labelled pixels."""
        return int(self.matrix.sum())

    def confusion(self) -> Confusion:
        """The scores."""
        return Confusion(self.matrix.numpy().astype(np.int64))
