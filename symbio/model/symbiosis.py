"""Depth-Semantics Symbiosis: the neck and the Symbiotic Transformer.

Two branches leave the shared decoder map. Semantics-guided attention (SGT) takes queries from
the depth branch, keys and values from the semantic branch; depth-guided attention (DGT) is its
mirror image. At each step both read the same inputs, so that the exchange is symmetric.

Ours, where the paper's public text is silent: pre-norm, residual, an MLP of ratio 4 after each
attention, the relative position bias, and two steps in every exchange, so that all of them are
compared at nearly equal parameters. At C=128, h=4, w=7 and both directions these are 796,816 for
`both`, `local` and `global`, 794,112 for `full` (plain cross-attention: the same but for the
tables of relative positions), 753,152 for `convolution`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from symbio.errors import SymbioError
from symbio.model.attention import CrossAttention
from symbio.model.decoder import conv_norm_gelu
from symbio.params import SymbiosisParams

MixerBuilder = Callable[[int, SymbiosisParams], nn.Module]
"""(channels, params) -> a module that maps (query, context), both (B,H,W,C), to (B,H,W,C)."""


class ConvolutionMixer(nn.Module):
    """Exchange without attention: a w x w depthwise convolution spreads the context.

    About as many parameters as `CrossAttention`: 3 C^2 + w^2 C against 4 C^2.
    """

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.merge = nn.Linear(2 * channels, channels)
        # An even window has no centre: one more row and column keep the size.
        side = window + 1 - window % 2
        self.spread = nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels)
        self.out = nn.Sequential(nn.GELU(), nn.Linear(channels, channels))

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """(B,H,W,C) query and context -> (B,H,W,C)."""
        merged = self.merge(torch.cat((query, context), dim=-1))
        spread = self.spread(merged.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: Tensor = self.out(spread)
        return out


def _convolution(channels: int, params: SymbiosisParams) -> nn.Module:
    return ConvolutionMixer(channels, params.window)


def _full(channels: int, params: SymbiosisParams) -> nn.Module:
    return CrossAttention(channels, params.heads, params.window, "full")


def _local(channels: int, params: SymbiosisParams) -> nn.Module:
    return CrossAttention(channels, params.heads, params.window, "local")


def _global(channels: int, params: SymbiosisParams) -> nn.Module:
    return CrossAttention(channels, params.heads, params.window, "global")


EXCHANGES: dict[str, tuple[MixerBuilder, ...]] = {
    "none": (),
    "convolution": (_convolution, _convolution),
    "full": (_full, _full),
    "local": (_local, _local),
    "global": (_global, _global),
    "both": (_local, _global),
}
"""Name (`model.symbiosis.exchange`) -> the mixer of each successive step.

An exchange of your own is a `MixerBuilder` in its own file and one line here.
"""


class Neck(nn.Module):
    """One branch's own view of the shared decoder map: conv-norm-GELU, (B,C,H,W) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv_norm_gelu(channels, channels)

    def forward(self, shared: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W)."""
        branch: Tensor = self.conv(shared)
        return branch


class GuidedBlock(nn.Module):
    """A branch guided by the other one: pre-norm mixer and pre-norm MLP, both residual."""

    def __init__(self, channels: int, mixer: nn.Module, mlp_ratio: float) -> None:
        super().__init__()
        hidden = round(channels * mlp_ratio)
        self.norm_query = nn.LayerNorm(channels)
        self.norm_context = nn.LayerNorm(channels)
        self.mixer = mixer
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, hidden),
            nn.GELU(),
            nn.Linear(hidden, channels),
        )

    def forward(self, branch: Tensor, other: Tensor) -> Tensor:
        """(B,H,W,C) of the guided and of the guiding branch -> (B,H,W,C)."""
        branch = branch + self.mixer(self.norm_query(branch), self.norm_context(other))
        branch = branch + self.mlp(branch)
        return branch


class SymbioticTransformer(nn.Module):
    """The exchange between the branches.

    Raises:
        SymbioError: `params.exchange` is not in `EXCHANGES`.
    """

    def __init__(self, channels: int, params: SymbiosisParams) -> None:
        super().__init__()
        if params.exchange not in EXCHANGES:
            raise SymbioError(
                f"model.symbiosis.exchange: no exchange {params.exchange!r}; "
                f"there are {', '.join(EXCHANGES)}"
            )
        steps = EXCHANGES[params.exchange]

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                GuidedBlock(channels, build(channels, params), params.mlp_ratio) for build in steps
            )

        # Semantics-guided: changes the depth branch. Depth-guided: changes the semantic branch.
        self.sgt = blocks() if params.directions in ("both", "sgt") else None
        self.dgt = blocks() if params.directions in ("both", "dgt") else None
        self.num_steps = len(steps)

    def forward(self, depth: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        """(B,C,H,W) of both branches -> the same shapes; a direction that is off is unchanged."""
        d, s = depth.permute(0, 2, 3, 1), semantic.permute(0, 2, 3, 1)
        for step in range(self.num_steps):
            d_old, s_old = d, s
            if self.sgt is not None:
                d = self.sgt[step](d_old, s_old)
            if self.dgt is not None:
                s = self.dgt[step](s_old, d_old)
        return d.permute(0, 3, 1, 2), s.permute(0, 3, 1, 2)
