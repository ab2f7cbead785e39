"""The depth head and the semantic head, both at stride 4."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from symbio.model.decoder import conv_norm_gelu

_FIRST_SHARE_OF_MAX = 0.25
"""Untrained networks predict a quarter of the largest depth: about a scene's mean."""


class DepthHead(nn.Module):
    """Depth between 0 (or the smallest depth) and the largest.

    `sigmoid`: max * sigmoid(x). `log`: min * (max/min) ** sigmoid(x). Both ours.

    Args:
        channels: C of the branch.
        output: which of the two.
        depth_range: smallest and largest depth, metres.
    """

    def __init__(
        self, channels: int, output: Literal["sigmoid", "log"], depth_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.conv = conv_norm_gelu(channels, channels)
        self.out = nn.Conv2d(channels, 1, 1)
        self.output, (self.min_depth_m, self.max_depth_m) = output, depth_range
        self.log_range = math.log(self.max_depth_m / self.min_depth_m)
        share = _FIRST_SHARE_OF_MAX
        if output == "log":
            share = max(1.0 + math.log(share) / self.log_range, share)
        nn.init.constant_(self.out.bias, math.log(share / (1.0 - share)))  # type: ignore[arg-type]

    def forward(self, branch: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,1,h,w) before the sigmoid."""
        out: Tensor = self.out(self.conv(branch))
        return out

    def metres(self, raw: Tensor) -> Tensor:
        """What `forward` gave, at any size -> metres, float32 also under autocast."""
        with torch.autocast(raw.device.type, enabled=False):
            share = torch.sigmoid(raw.float())
            if self.output == "log":
                return self.min_depth_m * torch.exp(share * self.log_range)
            return self.max_depth_m * share


class SemanticHead(nn.Module):
    """Class logits: (B,C,h,w) -> (B,K,h,w)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = conv_norm_gelu(channels, channels)
        self.out = nn.Conv2d(channels, num_classes, 1)

    def forward(self, branch: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,K,h,w)."""
        out: Tensor = self.out(self.conv(branch))
        return out
