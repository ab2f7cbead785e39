"""Depth-Semantics Symbiosis: the neck and the Symbiotic Transformer.

Two branches leave the shared decoder map. Semantics-guided attention (SGT) takes queries from
the depth branch, keys and values from the semantic branch; depth-guided attention (DGT) is its
mirror image. At each step both read the same inputs, so that the exchange is symmetric.

Ours, where the paper's public text is silent: pre-norm, residual, an MLP of ratio 4 after each
attention, the relative position bias, and two steps in every exchange, all of them with equally
many parameters (`symbio.model.exchanges.registry`).
"""

from __future__ import annotations

from torch import Tensor, nn

from symbio.errors import SymbioError
from symbio.model.decoder import conv_norm_gelu
from symbio.model.exchanges.registry import EXCHANGES, MixerBuilder
from symbio.model.initial import draws_of
from symbio.params import SymbiosisParams


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

    Args:
        channels: C.
        params: which exchange, in which directions.
        seed: of the initial weights; those of a block depend on its direction and step alone.

    Raises:
        SymbioError: `params.exchange` is not in `EXCHANGES`.
    """

    def __init__(self, channels: int, params: SymbiosisParams, seed: int) -> None:
        super().__init__()
        if params.exchange not in EXCHANGES:
            raise SymbioError(
                f"model.symbiosis.exchange: no exchange {params.exchange!r}; "
                f"there are {', '.join(EXCHANGES)}"
            )
        steps = EXCHANGES[params.exchange]

        def block(build: MixerBuilder, name: str) -> GuidedBlock:
            with draws_of(f"symbiosis.{name}.mixer", seed):
                mixer = build(channels, params)
            with draws_of(f"symbiosis.{name}", seed):
                return GuidedBlock(channels, mixer, params.mlp_ratio)

        def blocks(direction: str) -> nn.ModuleList:
            return nn.ModuleList(
                block(build, f"{direction}.{step}") for step, build in enumerate(steps)
            )

        # Semantics-guided: changes the depth branch. Depth-guided: changes the semantic branch.
        self.sgt = blocks("sgt") if params.directions in ("both", "sgt") else None
        self.dgt = blocks("dgt") if params.directions in ("both", "dgt") else None
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
