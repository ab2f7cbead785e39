"""Multi-head cross-attention inside windows, or over a sparse grid.

Shapes: B images, H rows and W columns of tokens, C channels, w window side, G groups of
N = w*w tokens, h heads of d = C/h channels. Maps are channels-last (B,H,W,C).

Windows are contiguous w x w squares; a grid group holds w x w tokens strided H/w rows and
W/w columns apart (the partitions of MaxViT). Rows and columns are padded at the bottom and the
right up to a multiple of w; the padding is never a key, and its queries are cropped away.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Reach = Literal["local", "global"]


def partition(tokens: Tensor, window: int, reach: Reach, heads: int = 1) -> Tensor:
    """(B,H,W,C) with H and W multiples of `window` -> (B, G*heads, N, C/heads).

    `local` groups are windows, `global` groups are grid groups, in row-major order.
    """
    batch, height, width, channels = tokens.shape
    rows, columns = height // window, width // window
    if reach == "local":
        split = (batch, rows, window, columns, window, heads, channels // heads)
        order = (0, 1, 3, 5, 2, 4, 6)
    else:
        split = (batch, window, rows, window, columns, heads, channels // heads)
        order = (0, 2, 4, 5, 1, 3, 6)
    groups = rows * columns * heads
    return tokens.reshape(split).permute(order).reshape(batch, groups, window * window, -1)


def merge(groups: Tensor, size: tuple[int, int], window: int, reach: Reach, heads: int) -> Tensor:
    """Inverse of `partition`: (B, G*heads, N, d) -> (B,H,W,heads*d) for `size` = (H, W)."""
    (height, width), batch = size, groups.shape[0]
    rows, columns = height // window, width // window
    split = groups.reshape(batch, rows, columns, heads, window, window, -1)
    order = (0, 1, 4, 2, 5, 3, 6) if reach == "local" else (0, 4, 1, 5, 2, 3, 6)
    return split.permute(order).reshape(batch, height, width, -1)


class GroupedAttention(nn.Module):
    """Queries from one map, keys and values from another of the same size, group by group.

    Args:
        channels: C, a multiple of `heads`.
        heads: h.
        window: w.
        reach: `local` (windows) or `global` (grid). Both add a learned relative position bias, a
            table of (2w-1)^2 offsets per head.
    """

    offset: Tensor

    def __init__(self, channels: int, heads: int, window: int, reach: Reach) -> None:
        super().__init__()
        self.heads, self.window, self.reach = heads, window, reach
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("offset", _relative_offsets(window), persistent=False)

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B,H,W,C) queries and (B,H,W,C) context -> (B,H,W,C)."""
        mixed = self._groups(self.query(query), self.key_value(context))
        out: Tensor = self.out(mixed)
        return out

    def _groups(self, q: Tensor, key_value: Tensor) -> Tensor:
        height, width = q.shape[1:3]
        bottom, right = -height % self.window, -width % self.window
        if bottom or right:
            q = F.pad(q, (0, 0, 0, right, 0, bottom))
            key_value = F.pad(key_value, (0, 0, 0, right, 0, bottom))
        size = (height + bottom, width + right)
        k, v = key_value.chunk(2, dim=-1)
        # Groups and heads share one dimension, so that the bias broadcasts over the batch
        # and a group's padding mask needs no copy per image.
        q, k, v = (partition(x, self.window, self.reach, self.heads) for x in (q, k, v))
        bias = self._bias((height, width), size).to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        merged = merge(mixed, size, self.window, self.reach, self.heads)
        return merged[:, :height, :width]

    def _bias(self, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
        """(1, G*h, N, N): relative position bias, and -inf at keys outside `size`."""
        tokens = self.window**2
        groups = padded[0] * padded[1] // tokens
        bias = self.bias_table[self.offset].reshape(tokens, tokens, self.heads).permute(2, 0, 1)
        if size == padded:
            bias = bias.expand(groups, -1, -1, -1)
        else:
            outside = bias.new_full((1, *padded, 1), float("-inf"))
            outside[:, : size[0], : size[1]] = 0.0
            mask = partition(outside, self.window, self.reach)
            bias = bias + mask.reshape(groups, 1, 1, tokens)
        return bias.reshape(1, groups * self.heads, tokens, tokens)


def _relative_offsets(window: int) -> Tensor:
    """(N*N,) row of the bias table for each (query, key) pair of a group."""
    row, column = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    row, column = row.flatten(), column.flatten()
    down = row[:, None] - row[None, :] + window - 1
    across = column[:, None] - column[None, :] + window - 1
    return (down * (2 * window - 1) + across).flatten()
