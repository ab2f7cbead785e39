"""Depth errors by distance: where along the depth range a network is good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from symbio.evaluate.accumulate import Rows, exact_sum, gathered_rows, insert_once

NUM_RANGES = 8
_COLUMNS = 4


@dataclass
class RangeScores:
    """Sums over pixels, by the range that their true depth falls into."""

    edges_m: tuple[float, ...]
    """Ascending; range i holds edges_m[i] <= truth < edges_m[i + 1]. Metres."""
    rows: Rows = field(default_factory=dict)
    """Key of a frame -> its sums, range by range: pixels, |g-p|/g, (g-p)^2, hits of d1."""

    def add(self, keys: Sequence[str], prediction: Tensor, truth: Tensor, valid: Tensor) -> None:
        """Add frames.

        Args:
            keys: B keys.
            prediction, truth: floating (B, H, W), metres.
            valid: bool (B, H, W).

        Raises:
            SymbioError: a frame was added before.
        """
        for key, *maps in zip(keys, prediction, truth, valid, strict=True):
            insert_once(self.rows, {key: tuple(self._sums(*maps).flatten().tolist())})

    def _sums(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        """One frame's, float64 (ranges, _COLUMNS)."""
        p, g = (depth[valid].double().cpu() for depth in (prediction, truth))
        inner = torch.tensor(self.edges_m[1:-1], dtype=torch.float64)
        place = torch.bucketize(g, inner, right=True)
        error = p - g
        hit = (p < 1.25 * g) & (g < 1.25 * p)
        columns = (None, error.abs() / g, error.square(), hit.double())
        ranges = len(self.edges_m) - 1
        sums = [torch.bincount(place, values, minlength=ranges).double() for values in columns]
        return torch.stack(sums, dim=1)

    def merge(self, other: RangeScores) -> None:
        """Add other frames. Raises SymbioError if a frame is in both."""
        insert_once(self.rows, other.rows)

    def gather(self) -> None:
        """Exchange rows, so that every rank holds all of them. Does nothing without ranks."""
        self.rows = gathered_rows(self.rows)

    def sums(self) -> list[list[float]]:
        """Over all frames, rounded once: a list of ranges by their columns."""
        flat = [exact_sum(list(cell)) for cell in zip(*self.rows.values(), strict=True)]
        flat = flat or [0.0] * (len(self.edges_m) - 1) * _COLUMNS
        return [flat[start : start + _COLUMNS] for start in range(0, len(flat), _COLUMNS)]

    def table(self) -> list[dict[str, float]]:
        """One row a range that has pixels: from_m, to_m, pixels, abs_rel, rmse (m), d1; pooled."""
        rows = []
        bounds = zip(self.edges_m, self.edges_m[1:], strict=False)
        for (low, high), sums in zip(bounds, self.sums(), strict=True):
            count, relative, square, hits = sums
            if count:
                rows.append(
                    {
                        "from_m": low,
                        "to_m": high,
                        "pixels": count,
                        "abs_rel": relative / count,
                        "rmse": math.sqrt(square / count),
                        "d1": hits / count,
                    }
                )
        return rows


def range_edges(max_depth_m: float) -> tuple[float, ...]:
    """Equal ranges up to `max_depth_m` and one for all that is beyond, metres."""
    return (*np.linspace(0.0, max_depth_m, NUM_RANGES + 1).tolist(), math.inf)
