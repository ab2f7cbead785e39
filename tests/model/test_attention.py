"""Window and grid attention against a loop over queries in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from symbio.model.attention import CrossAttention, merge, partition

from .builders import images

SIZES = [(7, 7), (14, 21), (8, 15), (3, 2), (1, 30), (22, 30)]


def loop_over_queries(module: CrossAttention, query: Tensor, context: Tensor) -> Tensor:
    """What `CrossAttention` means, one query and one head at a time."""
    height, width, channels = query.shape
    heads, w = module.heads, module.window
    d = channels // heads
    q, k_v = module.query(query), module.key_value(context)
    down, across = math.ceil(height / w), math.ceil(width / w)
    pixels = [(y, x) for y in range(height) for x in range(width)]

    def group(y: int, x: int) -> tuple[int, int]:
        return (y // w, x // w) if module.reach == "local" else (y % down, x % across)

    def place(y: int, x: int) -> tuple[int, int]:
        return (y % w, x % w) if module.reach == "local" else (y // down, x // across)

    members: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for pixel in pixels:
        members.setdefault(group(*pixel), []).append(pixel)
    mixed = torch.zeros_like(q)
    for y, x in pixels:
        keys = pixels if module.reach == "full" else members[group(y, x)]
        rows, columns = [a for a, _ in keys], [b for _, b in keys]
        for head in range(heads):
            part = slice(head * d, (head + 1) * d)
            values = k_v[rows, columns, channels:][:, part]
            scores = k_v[rows, columns, :channels][:, part] @ q[y, x, part] / math.sqrt(d)
            if module.reach != "full":
                (i, j), side = place(y, x), 2 * w - 1
                offsets = [
                    (i - a + w - 1) * side + (j - b + w - 1)
                    for a, b in (place(*key) for key in keys)
                ]
                scores = scores + module.bias_table[offsets, head]
            mixed[y, x, part] = scores.softmax(dim=0) @ values
    return module.out(mixed)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("reach", ["local", "global", "full"])
@torch.no_grad()
def test_equals_a_loop_over_queries(reach, size):
    module = CrossAttention(8, heads=2, window=7, reach=reach).double()
    for number, parameter in enumerate(module.parameters()):
        parameter.copy_(images(*parameter.shape, seed=number))
    query, context = (images(2, *size, 8, seed=seed).double() for seed in (1, 2))
    expected = torch.stack(
        [loop_over_queries(module, *pair) for pair in zip(query, context, strict=True)]
    )
    torch.testing.assert_close(module(query, context), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("reach", ["local", "global"])
def test_the_padding_has_no_influence_on_gradients(reach):
    module = CrossAttention(4, heads=2, window=3, reach=reach).double()
    query, context = (images(1, 4, 5, 4, seed=seed).double().requires_grad_() for seed in (1, 2))
    assert torch.autograd.gradcheck(module, (query, context))


@pytest.mark.parametrize("reach", ["local", "global"])
def test_every_token_is_in_one_group_and_comes_back(reach):
    tokens = torch.arange(2 * 14 * 21 * 6.0).reshape(2, 14, 21, 6)
    groups = partition(tokens, 7, reach, heads=3)
    assert groups.shape == (2, 6 * 3, 49, 2)
    assert torch.equal(merge(groups, (14, 21), 7, reach, heads=3), tokens)


def test_windows_are_dense_and_grid_groups_are_strided():
    row = torch.arange(14.0)[:, None].expand(14, 21)[None, ..., None]
    dense, strided = (partition(row, 7, reach)[0, 0].unique() for reach in ("local", "global"))
    assert dense.tolist() == list(range(7))
    assert strided.tolist() == list(range(0, 14, 2))


@pytest.mark.parametrize("reach", ["local", "global", "full"])
@torch.no_grad()
def test_autocast_stays_near_full_precision(reach):
    module = CrossAttention(16, heads=4, window=7, reach=reach)
    query, context = images(1, 9, 12, 16, seed=1), images(1, 9, 12, 16, seed=2)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = module(query, context)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), module(query, context), atol=0.02, rtol=0.02)
