"""Global cross-attention: every token attends to a sparse w x w grid over the whole map."""

from __future__ import annotations

from torch import nn

from symbio.model.exchanges.grouped import GroupedAttention
from symbio.params import SymbiosisParams


def grid(channels: int, params: SymbiosisParams) -> nn.Module:
    """One step, for C channels."""
    return GroupedAttention(channels, params.heads, params.window, "global")
