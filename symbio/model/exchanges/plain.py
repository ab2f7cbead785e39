"""Plain cross-attention: every token attends to the whole map. What the paper does not ablate.

Shapes: B images, H rows and W columns of tokens, C channels, h heads of d = C/h channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from symbio.params import SymbiosisParams


def plain(channels: int, params: SymbiosisParams) -> nn.Module:
    """One step, for C channels."""
    return PlainAttention(channels, params.heads, params.window)


class PlainAttention(nn.Module):
    """Queries from one map, keys and values from another of the same size.

    Attention in groups knows where its tokens are by a table of (2w-1)^2 relative positions a
    head. Over H*W tokens such a bias would be an (H*W)^2 matrix a head, which rules out fused
    kernels. So that plain attention is compared knowing as much, with equally many parameters, its
    table holds (2w-1) x (2w-1) places of the map a head (ours): stretched over the map, whatever
    its size, it is added to the first channel of each head's queries and keys.

    Args:
        channels: C, a multiple of `heads`.
        heads: h.
        window: w, which here only sets how fine the table of places is.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.places = heads, 2 * window - 1
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.place_table = nn.Parameter(torch.empty(self.places**2, heads))
        nn.init.trunc_normal_(self.place_table, std=0.02)

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B,H,W,C) queries and (B,H,W,C) context -> (B,H,W,C)."""
        batch, height, width, channels = query.shape
        heads = (self.heads, channels // self.heads)
        q = self.query(query).reshape(batch, height * width, *heads).transpose(1, 2)
        both = self.key_value(context).reshape(batch, height * width, 2, *heads)
        k, v = both.permute(2, 0, 3, 1, 4)
        place = self._place((height, width), heads[1]).to(q.dtype)
        mixed = F.scaled_dot_product_attention(q + place, k + place, v)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, height, width, channels))
        return out

    def _place(self, size: tuple[int, int], channels: int) -> Tensor:
        """(1, h, H*W, d): what each place of a (H, W) map adds, in the first channel alone."""
        table = self.place_table.T.reshape(1, self.heads, self.places, self.places)
        stretched = F.interpolate(table, size, mode="bilinear", align_corners=True)
        return F.pad(stretched.flatten(2)[..., None], (0, channels - 1))
