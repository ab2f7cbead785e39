"""Depth errors by distance: where along the depth range a network is good."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from symbio.evaluate.accumulate import summed_over_ranks

NUM_RANGES = 8


@dataclass
class RangeScores:
    """Sums over pixels, by the range that their true depth falls into."""

    edges_m: tuple[float, ...]
    """Ascending; range i holds edges_m[i] <= truth < edges_m[i + 1]. Metres."""
    sums: Tensor = field(init=False)
    """float64 (ranges, 4): pixels, sum |g-p|/g, sum (g-p)^2, hits of d1."""

    def __post_init__(self) -> None:
        self.sums = torch.zeros(len(self.edges_m) - 1, 4, dtype=torch.float64)

    def add(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> None:
        """Add pixels; three tensors of one shape, metres, metres and bool."""
        p, g = (depth[valid].double().cpu() for depth in (prediction, truth))
        inner = torch.tensor(self.edges_m[1:-1], dtype=torch.float64)
        place = torch.bucketize(g, inner, right=True)
        error = p - g
        hit = (p < 1.25 * g) & (g < 1.25 * p)
        for column, values in enumerate((None, error.abs() / g, error.square(), hit.double())):
            self.sums[:, column] += torch.bincount(place, values, minlength=len(self.sums))

    def merge(self, other: RangeScores) -> None:
        """Add the pixels of another rank."""
        self.sums += other.sums

    def gather(self, device: torch.device | str = "cpu") -> None:
        """Sum over ranks, on a device that the process group can use; nothing without ranks."""
        self.sums = summed_over_ranks(self.sums, device)

    def table(self) -> list[dict[str, float]]:
        """One row a range that has pixels: from_m, to_m, pixels, abs_rel, rmse (m), d1; pooled."""
        rows = []
        bounds = zip(self.edges_m, self.edges_m[1:], strict=False)
        for (low, high), (count, relative, square, hits) in zip(
            bounds, self.sums.tolist(), strict=True
        ):
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
