"""DepthMix (Hoyer et al., CVPR 2021): at each pixel the frame whose surface is nearer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.compose import compose
from symbio.params import MixParams

MARGIN = 0.03
"""By how much of its disparity range `b` must be nearer to cover `a`."""


def depthmix(a: Batch, b: Batch, rngs: Sequence[np.random.Generator], params: MixParams) -> Batch:
    """Mix B pairs by comparing disparities, each scaled to [0, 1] within its frame.

    A pixel comes from `a` where disparity(a) >= disparity(b) - 0.03. Disparity is 1 / guide
    depth, 0 where nothing is known. DepthMix was made for semantics alone; here the depth
    target goes with its pixel, as in every mix of this package. Nothing is drawn; of the
    parameters guide_reach_px counts. Raises SymbioError if it is out of range.
    """
    disparity_a = _disparity(guide_depth(a.depth, a.semantic, params.guide_reach_px))
    disparity_b = _disparity(guide_depth(b.depth, b.semantic, params.guide_reach_px))
    return compose(a, b, disparity_a < disparity_b - MARGIN)


def _disparity(guide: Tensor) -> Tensor:
    """float32 (B, H, W) in [0, 1]: 1 / depth, from the farthest to the nearest known pixel."""
    disparity = 1.0 / guide  # 1 / inf = 0
    known = disparity > 0
    low = disparity.masked_fill(~known, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = disparity.amax(dim=(1, 2), keepdim=True)
    scaled = (disparity - low) / (high - low)
    # A flat frame (or an empty one) has no range: it counts as far.
    return scaled.masked_fill(~known | (high <= low), 0.0)
