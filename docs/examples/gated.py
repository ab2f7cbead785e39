"""Gated exchange: each place hears the other branch as far as a gate lets it.

After the message passing of PAD-Net (Xu et al., CVPR 2018, section 3.3); the gate that looks at
both branches is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symbio.params import SymbiosisParams


def gated(channels: int, params: SymbiosisParams) -> nn.Module:
    """One step, for C channels."""
    return GatedMixer(channels)


class GatedMixer(nn.Module):
    """A message from the same place of the other map, times a gate in 0..1.

    4C^2 + 3C parameters, against 4C^2 + 4C and the table of positions of attention.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * channels, channels)
        self.message = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B,H,W,C) query and context -> (B,H,W,C)."""
        gate = torch.sigmoid(self.gate(torch.cat((query, context), dim=-1)))
        out: Tensor = self.out(gate * self.message(context))
        return out
