"""The Symbiotic Transformer: who reads whom, symmetry, sizes of the exchanges."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from symbio.errors import SymbioError
from symbio.model.exchanges.registry import EXCHANGES
from symbio.model.symbiosis import SymbioticTransformer
from symbio.params import SymbiosisParams

from .builders import images

TALKING = [name for name in EXCHANGES if name != "none"]


def transformer(channels: int = 8, seed: int = 0, **params) -> SymbioticTransformer:
    return SymbioticTransformer(channels, SymbiosisParams(**params), seed)


def branches():
    depth, semantic = images(2, 8, 9, 12, seed=1), images(2, 8, 9, 12, seed=2)
    return depth.requires_grad_(), semantic.requires_grad_()


@pytest.mark.parametrize("exchange", TALKING)
@pytest.mark.parametrize(("directions", "into_depth", "into_semantic"), [
    ("both", True, True), ("sgt", True, False), ("dgt", False, True),
])  # fmt: skip
def test_gradients_cross_over_only_where_the_direction_is_on(
    exchange, directions, into_depth, into_semantic
):
    depth, semantic = branches()
    out = transformer(exchange=exchange, directions=directions)(depth, semantic)
    for which, (output, own, other, crosses) in {
        "depth": (out[0], depth, semantic, into_depth),
        "semantic": (out[1], semantic, depth, into_semantic),
    }.items():
        to_own, to_other = torch.autograd.grad(
            output.pow(2).sum(), (own, other), retain_graph=True, allow_unused=True
        )
        assert to_own is not None, f"{which} branch lost itself"
        assert to_own.abs().min() > 0, f"{which} branch lost itself somewhere"
        reached = to_other is not None and bool(to_other.abs().max() > 0)
        assert reached == crosses, f"other branch -> {which}: {reached}"


def test_without_an_exchange_nothing_changes_and_nothing_crosses():
    depth, semantic = branches()
    module = transformer(exchange="none")
    assert sum(p.numel() for p in module.parameters()) == 0
    out = module(depth, semantic)
    assert torch.equal(out[0], depth)
    assert torch.equal(out[1], semantic)


@pytest.mark.parametrize("exchange", TALKING)
def test_the_exchange_is_symmetric(exchange):
    depth, semantic = branches()
    module = transformer(exchange=exchange)
    out = module(depth, semantic)
    module.sgt, module.dgt = module.dgt, module.sgt
    swapped = module(semantic, depth)
    assert torch.equal(swapped[1], out[0])
    assert torch.equal(swapped[0], out[1])


def test_both_directions_read_the_same_inputs(monkeypatch):
    """The first step of SGT does not see what DGT made, nor the other way round."""
    monkeypatch.setitem(EXCHANGES, "one", EXCHANGES["both"][:1])
    depth, semantic = branches()
    both, sgt, dgt = (
        transformer(exchange="one", directions=directions) for directions in ("both", "sgt", "dgt")
    )
    out = both(depth, semantic)
    assert torch.equal(sgt(depth, semantic)[0], out[0])
    assert torch.equal(dgt(depth, semantic)[1], out[1])


@pytest.mark.parametrize(
    ("channels", "heads", "window"), [(64, 4, 7), (128, 4, 7), (96, 3, 8), (32, 8, 5)], ids=str
)
def test_exchanges_have_equally_many_parameters(channels, heads, window):
    count = {
        name: sum(
            parameter.numel()
            for parameter in transformer(
                channels, exchange=name, heads=heads, window=window
            ).parameters()
        )
        for name in EXCHANGES
    }
    assert count.pop("none") == 0
    size = count["both"]
    # Four blocks: two norms; query, key, value and out; the table; a norm and an MLP of ratio 4.
    norm, linear = 2 * channels, channels * (channels + 1)
    table = heads * (2 * window - 1) ** 2
    mlp = norm + 2 * 4 * channels**2 + 5 * channels
    assert size == 4 * (2 * norm + 4 * linear + table + mlp)
    assert count["full"] == count["local"] == count["global"] == size
    assert count["convolution"] == pytest.approx(size, rel=0.005)


def test_the_documented_numbers_of_parameters():
    count = {
        name: sum(p.numel() for p in transformer(128, exchange=name).parameters())
        for name in ("both", "convolution")
    }
    assert count == {"both": 796_816, "convolution": 796_652}


@pytest.mark.parametrize(
    ("exchange", "whole_window", "far"),
    [("local", True, False), ("global", False, True), ("both", True, True), ("full", True, True)],
)
@torch.no_grad()
def test_how_far_a_changed_token_reaches(exchange, whole_window, far):
    """Token (13, 13) of 14 x 14: its window is the last 7 x 7, its grid group has (1, 1)."""
    depth, semantic = images(1, 8, 14, 14, seed=1), images(1, 8, 14, 14, seed=2)
    changed = semantic.clone()
    changed[:, 0, 13, 13] += 5.0  # one channel: the norms take out a shift of all of them
    module = transformer(exchange=exchange)
    moved = (module(depth, changed)[0] != module(depth, semantic)[0]).any(dim=1)[0]
    assert bool(moved[7:, 7:].all()) == whole_window
    assert bool(moved[1, 1]) == far


def test_an_unknown_exchange_is_refused_by_name():
    with pytest.raises(SymbioError, match=r"exchange.*'gossip'.*none, convolution, full"):
        transformer(exchange="gossip")


def test_an_exchange_of_ones_own_is_one_line(monkeypatch):
    class Sum(nn.Module):
        def forward(self, query, context):
            return query + context

    monkeypatch.setitem(EXCHANGES, "sum", (lambda channels, params: Sum(),))
    depth, semantic = branches()
    assert transformer(exchange="sum")(depth, semantic)[0].shape == depth.shape
