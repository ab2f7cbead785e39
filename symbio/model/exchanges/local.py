"""Local cross-attention: every token attends to the dense w x w window that it is in."""

from __future__ import annotations

from torch import nn

from symbio.model.exchanges.grouped import GroupedAttention
from symbio.params import SymbiosisParams


def local(channels: int, params: SymbiosisParams) -> nn.Module:
    """One step, for C channels."""
    return GroupedAttention(channels, params.heads, params.window, "local")
