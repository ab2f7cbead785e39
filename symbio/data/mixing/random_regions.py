"""NearFarMix without depth: its composition, with regions of the same size at random places.

The comparison that tells whether depth matters, or only that regions are mixed.
Shapes: B pairs of frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.nearfarmix import (
    cut_regions,
    draw_thresholds,
    kth_smallest,
    mix_regions,
)
from symbio.params import MixParams

GRID = (4, 5)
"""Rows and columns of the noise grid: regions about a quarter of the frame wide (ours)."""

_WEIGHT_BITS = 8
_NOISE_LEVELS = 2**13


def random_regions(
    a: Batch, b: Batch, rngs: Sequence[np.random.Generator], params: MixParams
) -> Batch:
    """Mix B pairs like NearFarMix, but smooth noise stands in for the depth of the regions.

    Each frame's "Near" has exactly as many pixels as NearFarMix with the same draws would
    give it (fewer only where noise values are equal); in the overlap `nearest` compares the
    noise. Arguments, result and errors are those of `nearfarmix`; each generator gives the
    threshold, then the noise.
    """
    guide_a = guide_depth(a.depth, a.semantic, params.guide_reach_px)
    guide_b = guide_depth(b.depth, b.semantic, params.guide_reach_px)
    tau = draw_thresholds(guide_a, guide_b, rngs, params.threshold)[:, None, None]
    grids = np.stack([rng.integers(_NOISE_LEVELS, size=(2, *GRID)) for rng in rngs])
    noise = torch.from_numpy(grids.astype(np.int32)).to(guide_a.device)
    height, width = guide_a.shape[-2:]
    fake_a = _below_zero(_enlarge(noise[:, 0], height, width), (guide_a < tau).sum(dim=(1, 2)))
    fake_b = _below_zero(_enlarge(noise[:, 1], height, width), (guide_b < tau).sum(dim=(1, 2)))
    zero = torch.zeros(len(a), device=guide_a.device)
    regions = cut_regions(fake_a, fake_b, zero, params.overlap, params.blend_alpha)
    return mix_regions(a, b, regions, params)


def _enlarge(grid: Tensor, height: int, width: int) -> Tensor:
    """Bilinear enlargement of int32 (B, h, w) to (B, height, width), times 2^16.

    In whole numbers, so that every device cuts the same regions.
    """
    one = 1 << _WEIGHT_BITS
    for dim, size in ((1, height), (2, width)):
        cells = grid.shape[dim] - 1
        place = torch.arange(size, device=grid.device) * (cells * one) // max(size - 1, 1)
        low = (place >> _WEIGHT_BITS).clamp(max=cells - 1)
        weight = (place - low * one).int()
        weight = weight[:, None] if dim == 1 else weight
        grid = grid.index_select(dim, low) * (one - weight) + (
            grid.index_select(dim, low + 1) * weight
        )
    return grid


def _below_zero(noise: Tensor, count: Tensor) -> Tensor:
    """Shift each noise field so that its `count` smallest pixels lie below 0; float32."""
    values = noise.flatten(1).double()
    threshold = kth_smallest(values, count)
    # Differences of whole numbers below 2^53 are exact, and rounding keeps sign and order.
    return (values - threshold[:, None]).float().view(noise.shape)
