"""Window, grid and plain attention against a loop over queries in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from symbio.model.exchanges.grouped import GroupedAttention, merge, partition
from symbio.model.exchanges.plain import PlainAttention

from .builders import images

SIZES = [(7, 7), (14, 21), (8, 15), (3, 2), (1, 30), (22, 30)]


def built(reach: str, channels: int, heads: int, window: int) -> GroupedAttention | PlainAttention:
    if reach == "full":
        return PlainAttention(channels, heads, window)
    return GroupedAttention(channels, heads, window, reach)


def stretched(table: Tensor, row: float, column: float) -> Tensor:
    """A square (n, n, h) table read between its entries: rows first, then columns; (h,)."""
    top, left = min(int(row), len(table) - 2), min(int(column), len(table) - 2)
    down, right = row - top, column - left
    upper = (1 - right) * table[top, left] + right * table[top, left + 1]
    lower = (1 - right) * table[top + 1, left] + right * table[top + 1, left + 1]
    return (1 - down) * upper + down * lower


def loop_over_queries(
    module: GroupedAttention | PlainAttention, query: Tensor, context: Tensor
) -> Tensor:
    """What the two kinds of attention mean, one query and one head at a time."""
    if isinstance(module, PlainAttention):
        return loop_over_the_map(module, query, context)
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
        keys = members[group(y, x)]
        rows, columns = [a for a, _ in keys], [b for _, b in keys]
        for head in range(heads):
            part = slice(head * d, (head + 1) * d)
            values = k_v[rows, columns, channels:][:, part]
            scores = k_v[rows, columns, :channels][:, part] @ q[y, x, part] / math.sqrt(d)
            (i, j), side = place(y, x), 2 * w - 1
            offsets = [
                (i - a + w - 1) * side + (j - b + w - 1) for a, b in (place(*key) for key in keys)
            ]
            scores = scores + module.bias_table[offsets, head]
            mixed[y, x, part] = scores.softmax(dim=0) @ values
    return module.out(mixed)


def loop_over_the_map(module: PlainAttention, query: Tensor, context: Tensor) -> Tensor:
    """Plain attention: the places are added to the first channel of each head."""
    height, width, channels = query.shape
    d, side = channels // module.heads, module.places
    q, (k, v) = module.query(query), module.key_value(context).split(channels, dim=-1)
    table = module.place_table.reshape(side, side, module.heads)
    q, k = q.clone(), k.clone()
    for y in range(height):
        for x in range(width):
            # Corner to corner; a map of one row or column has its first.
            row = y * (side - 1) / max(height - 1, 1)
            here = stretched(table, row, x * (side - 1) / max(width - 1, 1))
            q[y, x, ::d] += here
            k[y, x, ::d] += here
    mixed = torch.zeros_like(q)
    for head in range(module.heads):
        part = slice(head * d, (head + 1) * d)
        flat = [each[..., part].reshape(-1, d) for each in (q, k, v)]
        weights = (flat[0] @ flat[1].T / math.sqrt(d)).softmax(dim=1)
        mixed[..., part] = (weights @ flat[2]).reshape(height, width, d)
    return module.out(mixed)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("reach", ["local", "global", "full"])
@torch.no_grad()
def test_equals_a_loop_over_queries(reach, size):
    module = built(reach, channels=8, heads=2, window=7).double()
    for number, parameter in enumerate(module.parameters()):
        parameter.copy_(images(*parameter.shape, seed=number))
    query, context = (images(2, *size, 8, seed=seed).double() for seed in (1, 2))
    expected = torch.stack(
        [loop_over_queries(module, *pair) for pair in zip(query, context, strict=True)]
    )
    torch.testing.assert_close(module(query, context), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("reach", ["local", "global"])
def test_the_padding_has_no_influence_on_gradients(reach):
    module = GroupedAttention(4, heads=2, window=3, reach=reach).double()
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
    module = built(reach, channels=16, heads=4, window=7)
    query, context = images(1, 9, 12, 16, seed=1), images(1, 9, 12, 16, seed=2)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = module(query, context)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), module(query, context), atol=0.02, rtol=0.02)
