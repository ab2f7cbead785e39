"""CutMix (Yun et al., ICCV 2019, section 3.1): a random box of one frame on another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from symbio.data.frame import Batch
from symbio.data.mixing.compose import compose
from symbio.params import MixParams


def cutmix(a: Batch, b: Batch, rngs: Sequence[np.random.Generator], params: MixParams) -> Batch:
    """Paste a box of each `b` on `a`; B pairs of one size, keys "a+b".

    The box has the frame's shape, a share of its area that is uniform in [0, 1], and a
    centre that is uniform in the frame; what sticks out is cut off. Depth is not looked at
    and no parameter counts.
    """
    height, width = a.depth.shape[-2:]
    boxes = torch.tensor([_box(rng, height, width) for rng in rngs], device=a.depth.device)
    top, bottom, left, right = boxes.T[:, :, None, None]
    rows = torch.arange(height, device=boxes.device)[:, None]
    columns = torch.arange(width, device=boxes.device)
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    return compose(a, b, inside)


def _box(rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
    """Rows top:bottom and columns left:right of one box, pixels."""
    side = np.sqrt(rng.random())
    centre_y, centre_x = rng.integers(height), rng.integers(width)
    half_y, half_x = round(side * height) // 2, round(side * width) // 2
    return (
        int(max(centre_y - half_y, 0)),
        int(min(centre_y + half_y, height)),
        int(max(centre_x - half_x, 0)),
        int(min(centre_x + half_x, width)),
    )
