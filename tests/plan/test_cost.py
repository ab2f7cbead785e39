"""Parameters and FLOPs of a frame, against closed forms and a forward with real numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from symbio.model.cost import flops_a_frame, num_parameters
from symbio.model.network import SymbioticNetwork, build_network
from symbio.params import ModelParams

SIZE = (64, 96)
CHANNELS = 16
TOKENS = (SIZE[0] // 4) * (SIZE[1] // 4)


def _network(exchange: str, **model: Any) -> SymbioticNetwork:
    params = ModelParams.model_validate(
        {
            "encoder": "test_resnet",
            "pretrained": False,
            "channels": CHANNELS,
            "symbiosis": {"exchange": exchange, "heads": 2, "window": 4},
            "depth_output": "log",
            **model,
        }
    )
    return build_network(params, SIZE, 10.0, 0.1)


def test_flops_of_full_attention_are_those_of_the_closed_form() -> None:
    without = flops_a_frame(_network("none"), SIZE)
    projections = 2 * TOKENS * CHANNELS**2 * (1 + 2 + 1)
    attention = 2 * (2 * TOKENS**2 * CHANNELS)
    mlp = 2 * (2 * TOKENS * CHANNELS * 4 * CHANNELS)
    blocks = 2 * 2  # two steps, two directions
    expected = blocks * (projections + attention + mlp)
    assert flops_a_frame(_network("full"), SIZE) - without == expected


@pytest.mark.parametrize("encoder", ["test_resnet", "test_maxvit"])
def test_flops_are_those_of_a_real_forward(encoder: str) -> None:
    network = _network("both", encoder=encoder)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, *SIZE), True)
    assert flops_a_frame(network, SIZE) == counter.get_total_flops()


def test_counting_needs_no_weights_and_changes_nothing() -> None:
    network = _network("both").train()
    before = [tensor.clone() for tensor in network.state_dict().values()]
    flops = flops_a_frame(network, SIZE)
    after = network.state_dict().values()
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    with torch.device("meta"):
        shapes = _network("both")
    assert flops_a_frame(shapes, SIZE) == flops
    assert num_parameters(shapes) == num_parameters(network)


def test_parameters_are_those_that_train() -> None:
    layer = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))
    assert num_parameters(layer) == 3 * 5 + 5 + 5 + 5
    layer[0].bias.requires_grad_(False)
    assert num_parameters(layer) == 3 * 5 + 5 + 5
