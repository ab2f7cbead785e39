"""The guide: a depth for every pixel, by which mixes cut regions. It never supervises.

Shapes: B frames, H rows, W columns. Depth is in metres, distances are in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from symbio.errors import SymbioError

SKY = 2
"""ADE20K's class `sky`: far, however near the nearest measured pixel of the image is."""

MAX_REACH_PX = 127
"""Larger offsets would not fit the packed keys below."""

_FAR = 2**30


def guide_depth(depth: Tensor, semantic: Tensor, reach_px: int) -> Tensor:
    """Fill holes with the nearest measured depth, far (inf) beyond reach and in the sky.

    Measured pixels keep their own depth, so a dense map is its own guide. Distance is
    Euclidean and exact; of equally near neighbours the leftmost, then the uppermost, counts,
    so that every device gives the same guide. How to fill is our choice, not the paper's.

    Args:
        depth: float32 (B, H, W), metres; 0 = no measurement.
        semantic: uint8 (B, H, W), ADE20K class; tells the sky.
        reach_px: largest distance in pixels over which a measurement counts; 0 fills nothing.

    Returns:
        float32 (B, H, W), metres; inf where nothing is known to stand.

    Raises:
        SymbioError: `reach_px` is negative or above 127.
    """
    if not 0 <= reach_px <= MAX_REACH_PX:
        raise SymbioError(
            f"nearfarmix.guide_reach_px: found {reach_px}, allowed are 0 to {MAX_REACH_PX} pixels"
        )
    measured = depth > 0
    if reach_px == 0:
        return depth.masked_fill(~measured, torch.inf)
    keys = (~measured).int() * _FAR
    keys = _spread(keys, 1, reach_px)
    keys = _spread(keys, 2, reach_px)
    height, width = depth.shape[-2:]
    rows = torch.arange(height, dtype=torch.int32, device=depth.device)[:, None]
    columns = torch.arange(width, dtype=torch.int32, device=depth.device)
    down, right = (keys & 255) - reach_px, (keys >> 8 & 255) - reach_px
    # Clamped, because the key of a pixel that nothing reaches points anywhere.
    source = ((rows + down) * width + columns + right).clamp_(0, height * width - 1)
    filled = depth.flatten(1).gather(1, source.flatten(1).long()).view_as(depth)
    reached = keys < (reach_px**2 + 1) << 16
    unknown = ~reached | ((semantic == SKY) & ~measured)
    return filled.masked_fill_(unknown, torch.inf)


def _spread(keys: Tensor, dim: int, reach_px: int) -> Tensor:
    """Minimum over the neighbours along rows (dim 1) or columns (dim 2) within reach.

    A key is distance² << 16 | column offset << 8 | row offset, offsets counted from -reach;
    `_FAR` where nothing is known. The squared distance splits into rows and columns, so that
    spreading along one and then the other finds the exact nearest neighbour. 2·127² fits 15
    bits and an offset 8: one 32-bit minimum compares distance and tie rule at once, and
    `_FAR`, which is above all keys within reach, can bear the cost of an offset.
    """
    size = keys.shape[dim]
    margins = (0, 0, reach_px, reach_px) if dim == 1 else (reach_px, reach_px)
    padded = pad(keys, margins, value=_FAR)
    best = torch.full_like(keys, _FAR)
    candidate = torch.empty_like(keys)
    for start in range(2 * reach_px + 1):
        cost = ((start - reach_px) ** 2 << 16) + (start << 8 * (dim - 1))
        torch.add(padded.narrow(dim, start, size), cost, out=candidate)
        torch.minimum(best, candidate, out=best)
    return best
