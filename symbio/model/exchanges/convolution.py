"""Exchange without attention: a depthwise convolution spreads what the branches say together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbio.params import SymbiosisParams


def convolution(channels: int, params: SymbiosisParams) -> nn.Module:
    """One step, for C channels."""
    return ConvolutionMixer(channels, params.heads, params.window)


class ConvolutionMixer(nn.Module):
    """Both maps are merged to m channels, a w x w depthwise convolution spreads them, m becomes C.

    Attention's four projections and its table of positions have 4C(C+1) + h(2w-1)^2 parameters; m
    is such that these have as many: m(3C + w^2 + 2) + C, to within half of what one of the m
    channels takes.

    Args:
        channels: C.
        heads: h of the attention that it stands in for.
        window: w; an even one has no centre, so the convolution is one wider.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        side = window + 1 - window % 2
        attention = 4 * channels * (channels + 1) + heads * (2 * window - 1) ** 2
        inner = max(1, round((attention - channels) / (3 * channels + side**2 + 2)))
        self.merge = nn.Linear(2 * channels, inner)
        self.spread = nn.Conv2d(inner, inner, side, padding=side // 2, groups=inner)
        self.out = nn.Sequential(nn.GELU(), nn.Linear(inner, channels))

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B,H,W,C) query and context -> (B,H,W,C)."""
        merged = self.merge(torch.cat((query, context), dim=-1))
        spread = self.spread(merged.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: Tensor = self.out(spread)
        return out
