"""NearFarMix: near regions of two frames in front of the far region of one (docs/nearfarmix.md).

Shapes: B pairs of frames, H rows, W columns. Depth is in metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.compose import choose, compose
from symbio.params import MixParams, ThresholdParams

Overlap = Literal["nearest", "first", "blend"]

_BLEND_BITS = 16


@dataclass(frozen=True, slots=True)
class Regions:
    """Where each pixel of the mixed frame comes from; bool (B, H, W)."""

    from_b: Tensor
    """The pixel, with all its targets, comes from b; elsewhere from a."""
    overlap: Tensor
    """Near in both frames."""


def nearfarmix(a: Batch, b: Batch, rngs: Sequence[np.random.Generator], params: MixParams) -> Batch:
    """Mix B pairs: Near regions add up, where neither is Near the Far of `a` shows.

    The regions are cut by guide depths; image, depth, class and confidence of a pixel come
    from the same frame (`blend` blends the image of the overlap and takes its targets from
    the heavier frame). Mixing a frame with itself changes nothing.

    Args:
        a: B frames, whose turn it is: their Far stays.
        b: B partner frames of the same size, on the same device.
        rngs: one generator a pair; each gives one uniform number, the threshold.
        params: threshold, overlap, blend_alpha and guide_reach_px count here.

    Returns:
        B frames with keys "a+b".

    Raises:
        SymbioError: nearfarmix.guide_reach_px is out of range.
    """
    guide_a = guide_depth(a.depth, a.semantic, params.guide_reach_px)
    guide_b = guide_depth(b.depth, b.semantic, params.guide_reach_px)
    tau = draw_thresholds(guide_a, guide_b, rngs, params.threshold)
    regions = cut_regions(guide_a, guide_b, tau, params.overlap, params.blend_alpha)
    return mix_regions(a, b, regions, params)


def draw_thresholds(
    guide_a: Tensor,
    guide_b: Tensor,
    rngs: Sequence[np.random.Generator],
    threshold: ThresholdParams,
) -> Tensor:
    """τ of each pair: where Near ends; float32 (B,), metres.

    Mode `metres` draws τ uniformly from [low, high]. Mode `quantile` draws q from [low, high]
    and takes the depth below which floor(q·n) of the pair's n known guide depths lie (fewer if
    depths are equal there); q = 1 gives inf, everything known is Near. Both modes are ours.
    """
    draws = torch.tensor(
        [rng.uniform(threshold.low, threshold.high) for rng in rngs], dtype=torch.float64
    ).to(guide_a.device)
    if threshold.mode == "metres":
        return draws.float()
    depths = torch.cat([guide_a.flatten(1), guide_b.flatten(1)], dim=1)
    num_known = torch.isfinite(depths).sum(dim=1)
    return kth_smallest(depths, (draws * num_known).floor().long())


def kth_smallest(values: Tensor, k: Tensor) -> Tensor:
    """The k-th smallest (from 0) value of each row of (B, N); inf for k = N. k: int64 (B,)."""
    # On a CPU numpy sorts floats some 30 times faster than torch does.
    ascending = (
        torch.from_numpy(np.sort(values.numpy(), axis=1))
        if values.device.type == "cpu"
        else values.sort(dim=1).values
    )
    bounded = torch.nn.functional.pad(ascending, (0, 1), value=torch.inf)
    return bounded.gather(1, k[:, None])[:, 0]


def cut_regions(
    guide_a: Tensor, guide_b: Tensor, tau: Tensor, overlap: Overlap, blend_alpha: float
) -> Regions:
    """The region algebra (docs/nearfarmix.md).

    Args:
        guide_a: float32 (B, H, W), depth of a; inf = unknown, which is never Near.
        guide_b: same for b.
        tau: float32 (B,), in the guides' unit; Near is strictly below.
        overlap: which frame has the pixels that are Near in both; equal depths stay with a.
        blend_alpha: weight of a in the overlap under `blend`.
    """
    near_a = guide_a < tau[:, None, None]
    near_b = guide_b < tau[:, None, None]
    both = near_a & near_b
    from_b = near_b & ~near_a
    if overlap == "nearest":
        from_b = from_b | (both & (guide_b < guide_a))
    elif overlap == "blend" and blend_alpha < 0.5:
        from_b = from_b | both
    return Regions(from_b, both)


def mix_regions(a: Batch, b: Batch, regions: Regions, params: MixParams) -> Batch:
    """Compose the frames by their regions, and blend the image of the overlap if asked to."""
    mixed = compose(a, b, regions.from_b)
    if params.overlap != "blend":
        return mixed
    blended = _blend(a.image, b.image, params.blend_alpha)
    image = choose(regions.overlap[:, None], blended, mixed.image)
    return replace(mixed, image=image)


def _blend(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    """alpha·a + (1-alpha)·b, uint8, rounded half up.

    In whole numbers, so that every device gives the same pixels and blend(a, a) is a.
    """
    one = 1 << _BLEND_BITS
    weight = round(alpha * one)
    total = a.int() * weight + b.int() * (one - weight) + one // 2
    return (total >> _BLEND_BITS).to(torch.uint8)
