"""Small networks for the tests of this folder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symbio.model.network import SymbioticNetwork, build_network
from symbio.params import ModelParams, SymbiosisParams

SIZE = (88, 120)
"""Built image size: 32 divides neither side, 7 neither side of the maps at stride 4."""


def model_params(
    encoder: str = "test_maxvit",
    exchange: str = "both",
    directions: Any = "both",
    channels: int = 16,
    **rest: Any,
) -> ModelParams:
    symbiosis = SymbiosisParams(exchange=exchange, directions=directions, mlp_ratio=2.0)
    values = {"pretrained": False, "depth_output": "log", **rest}
    return ModelParams(encoder=encoder, channels=channels, symbiosis=symbiosis, **values)


def small_network(*, size: tuple[int, int] = SIZE, seed: int = 0, **model: Any) -> SymbioticNetwork:
    return build_network(
        model_params(**model), size, max_depth_m=10.0, min_depth_m=1e-3, num_classes=11, seed=seed
    )


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
