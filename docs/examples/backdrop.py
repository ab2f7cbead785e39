"""Backdrop: the near region of one frame before another frame, whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.compose import compose
from symbio.data.mixing.nearfarmix import draw_thresholds
from symbio.params import MixParams


def backdrop(a: Batch, b: Batch, rngs: Sequence[np.random.Generator], params: MixParams) -> Batch:
    """Mix B pairs: what is Near in `a` stays, everything else comes from `b`.

    NearFarMix without its care for the other frame's Near, which here may be covered by what is
    farther away. Arguments, result and errors are those of `nearfarmix`; of the parameters
    threshold and guide_reach_px count.
    """
    guide_a = guide_depth(a.depth, a.semantic, params.guide_reach_px)
    guide_b = guide_depth(b.depth, b.semantic, params.guide_reach_px)
    tau = draw_thresholds(guide_a, guide_b, rngs, params.threshold)
    return compose(a, b, guide_a >= tau[:, None, None])
