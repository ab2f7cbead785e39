"""Variants of one seed begin equal: what two networks have in common starts from the same weights.

An ablation that compares two variants at one seed would otherwise compare two draws of the head as
well.
"""

from __future__ import annotations

import pytest
import torch

from symbio.model.exchanges.registry import EXCHANGES
from symbio.model.network import build_network

from .builders import SIZE, model_params, small_network


def weights(**model):
    return small_network(seed=7, **model).state_dict()


def common(one, other):
    """Names that both have with one shape."""
    return {name for name in one.keys() & other.keys() if one[name].shape == other[name].shape}


@pytest.mark.parametrize(
    "model",
    [
        *({"exchange": name} for name in EXCHANGES),
        {"directions": "sgt"},
        {"directions": "dgt"},
        {"semantics": False},
        {"depth_output": "sigmoid"},
    ],
    ids=str,
)
def test_parts_that_two_variants_share_begin_equal(model):
    default, variant = weights(), weights(**model)
    shared = common(default, variant)
    outside = {name for name in default if not name.startswith("symbiosis.")}
    if model.get("semantics", True):
        assert shared >= outside
    # The mixer is what the exchanges do not share, and the last bias of the depth head says what an
    # untrained network predicts.
    own = {"exchange": ".mixer.", "depth_output": "head_depth.out.bias"}
    for name in shared:
        if not any(option in model and part in name for option, part in own.items()):
            assert torch.equal(default[name], variant[name]), name


def test_attention_of_every_reach_begins_with_the_same_projections():
    attending = [weights(exchange=name) for name in ("both", "local", "global", "full")]
    shared = set.intersection(*(common(attending[0], other) for other in attending[1:]))
    inside = {name for name in shared if name.startswith("symbiosis.")}
    assert inside >= {
        f"symbiosis.{direction}.{step}.mixer.{name}.weight"
        for direction in ("sgt", "dgt")
        for step in (0, 1)
        for name in ("query", "key_value", "out")
    }


def test_another_number_of_classes_changes_the_last_layer_alone():
    few, many = (
        build_network(model_params(), SIZE, 10.0, 1e-3, num_classes=count, seed=7).state_dict()
        for count in (13, 40)
    )
    differing = {name for name in few if few[name].shape != many[name].shape}
    assert differing == {"head_semantic.out.weight", "head_semantic.out.bias"}
    assert all(torch.equal(few[name], many[name]) for name in few.keys() - differing)


def test_parts_of_one_shape_and_other_seeds_begin_differently():
    default = weights()
    first = {
        name: default[name]
        for name in (
            "neck_depth.conv.0.weight",
            "neck_semantic.conv.0.weight",
            "head_depth.conv.0.weight",
            "head_semantic.conv.0.weight",
        )
    }
    blocks = [
        default[f"symbiosis.{direction}.{step}.mixer.query.weight"]
        for direction in ("sgt", "dgt")
        for step in (0, 1)
    ]
    for same in (list(first.values()), blocks):
        for number, one in enumerate(same):
            assert not any(torch.equal(one, other) for other in same[number + 1 :])
    other = small_network(seed=8).state_dict()
    assert not any(torch.equal(other[name], value) for name, value in first.items())
