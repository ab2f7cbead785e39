"""The convolutional decoder with skip connections, from the coarsest level to stride 4."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm_gelu(channels_in: int, channels_out: int) -> nn.Sequential:
    """3x3 convolution, group norm, GELU: (B,channels_in,H,W) -> (B,channels_out,H,W).

    Group norm, because its result does not depend on how a batch is split over ranks.
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.GroupNorm(math.gcd(8, channels_out), channels_out),
        nn.GELU(),
    )


class DecoderLevel(nn.Module):
    """Upsample twofold, concatenate the skip if the encoder has one, conv-norm-GELU twice."""

    def __init__(self, channels_in: int, channels_skip: int, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *conv_norm_gelu(channels_in + channels_skip, channels),
            *conv_norm_gelu(channels, channels),
        )

    def forward(self, coarse: Tensor, skip: Tensor | None) -> Tensor:
        """(B,channels_in,H/2,W/2) and (B,channels_skip,H,W) or None -> (B,channels,H,W)."""
        fine = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        if skip is not None:
            fine = torch.cat((fine, skip), dim=1)
        out: Tensor = self.convs(fine)
        return out


class Decoder(nn.Module):
    """From the coarsest encoder level down to `output_stride`, C channels at each level.

    Args:
        strides: strides of the encoder's levels, finest first, powers of two.
        channels_of: channels of the same levels.
        channels: C.
        output_stride: where the decoder stops; finer levels are not used. A stride that the
            encoder lacks on the way is decoded without a skip.
    """

    def __init__(
        self,
        strides: Sequence[int],
        channels_of: Sequence[int],
        channels: int,
        output_stride: int = 4,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        skips = dict(zip(strides, channels_of, strict=True))
        stride, width = self.strides[-1], channels_of[-1]
        levels = {}
        while stride > output_stride:
            stride //= 2
            levels[str(stride)] = DecoderLevel(width, skips.get(stride, 0), channels)
            width = channels
        self.levels = nn.ModuleDict(levels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Feature maps, finest first, each (B,channels_of[i],H/strides[i],W/strides[i])
        -> (B,C,H/output_stride,W/output_stride)."""
        skips = dict(zip(self.strides, features, strict=True))
        decoded = features[-1]
        for stride, level in self.levels.items():
            decoded = level(decoded, skips.get(int(stride)))
        return decoded
