from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.nearfarmix import draw_thresholds, nearfarmix
from symbio.params import MixParams
from tests.data.mixing_cases import equal, frames, pairs, params, rngs, same_pixels

quickly = settings(deadline=None, derandomize=True, max_examples=80)


@st.composite
def any_params(draw: st.DrawFn, /, **fixed: object) -> MixParams:
    mode = draw(st.sampled_from(["metres", "quantile"]))
    top = 1.0 if mode == "quantile" else 9.0
    low, high = sorted(draw(st.tuples(st.floats(0, top), st.floats(0, top))))
    drawn = {
        "mode": mode,
        "low": low,
        "high": high,
        "overlap": draw(st.sampled_from(["nearest", "first", "blend"])),
        "blend_alpha": draw(st.floats(0, 1)),
        "guide_reach_px": draw(st.integers(0, 6)),
    }
    return params(**(drawn | fixed))


def guides(a: Batch, b: Batch, p: MixParams) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        guide_depth(a.depth, a.semantic, p.guide_reach_px),
        guide_depth(b.depth, b.semantic, p.guide_reach_px),
    )


def slow_mix(a: Batch, b: Batch, p: MixParams) -> Batch:
    """The definition, pixel by pixel, in plain Python."""
    guide_a, guide_b = guides(a, b, p)
    image, depth = a.image.clone(), a.depth.clone()
    semantic, confidence = a.semantic.clone(), a.confidence.clone()
    for n, rng in enumerate(rngs(a)):
        draw = rng.uniform(p.threshold.low, p.threshold.high)
        known = sorted(v for g in (guide_a[n], guide_b[n]) for v in g.flatten().tolist())
        known = [value for value in known if value < math.inf]
        if p.threshold.mode == "quantile":
            rank = math.floor(draw * len(known))
            tau = known[rank] if rank < len(known) else math.inf
        else:
            tau = torch.tensor(draw, dtype=torch.float32).item()
        for y in range(depth.shape[1]):
            for x in range(depth.shape[2]):
                near_a = guide_a[n, y, x].item() < tau
                near_b = guide_b[n, y, x].item() < tau
                take_b = near_b and not near_a
                if near_a and near_b:
                    if p.overlap == "nearest":
                        take_b = guide_b[n, y, x].item() < guide_a[n, y, x].item()
                    elif p.overlap == "blend":
                        take_b = p.blend_alpha < 0.5
                if take_b:
                    depth[n, y, x] = b.depth[n, y, x]
                    semantic[n, y, x] = b.semantic[n, y, x]
                    confidence[n, y, x] = b.confidence[n, y, x]
                for c in range(3):
                    of_a, of_b = int(a.image[n, c, y, x]), int(b.image[n, c, y, x])
                    colour = of_b if take_b else of_a
                    if near_a and near_b and p.overlap == "blend":
                        alpha = round(p.blend_alpha * 65536) / 65536
                        colour = math.floor(alpha * of_a + (1 - alpha) * of_b + 0.5)
                    image[n, c, y, x] = colour
    keys = tuple(f"{ka}+{kb}" for ka, kb in zip(a.keys, b.keys, strict=True))
    return Batch(image, depth, semantic, confidence, keys)


@quickly
@given(pair=pairs(), p=any_params())
def test_equals_the_slow_definition(pair: tuple[Batch, Batch], p: MixParams) -> None:
    a, b = pair
    mixed, expected = nearfarmix(a, b, rngs(a), p), slow_mix(a, b, p)
    assert equal(mixed, expected)
    assert mixed.keys == expected.keys
    assert mixed.image.dtype == mixed.semantic.dtype == mixed.confidence.dtype == torch.uint8


@quickly
@given(pair=pairs(), p=any_params())
def test_a_frame_mixed_with_itself_is_itself(pair: tuple[Batch, Batch], p: MixParams) -> None:
    a, _ = pair
    assert equal(nearfarmix(a, a, rngs(a), p), a)


@quickly
@given(pair=pairs(), p=any_params(mode="metres"))
def test_a_threshold_below_all_depths_gives_the_far_source(
    pair: tuple[Batch, Batch], p: MixParams
) -> None:
    a, b = pair
    measured = torch.cat([a.depth, b.depth])
    lowest = min(measured[measured > 0].tolist(), default=1.0)
    at_lowest = p.threshold.model_copy(update={"low": lowest, "high": lowest})
    p = p.model_copy(update={"threshold": at_lowest})
    assert equal(nearfarmix(a, b, rngs(a), p), a)


@quickly
@given(pair=pairs(distinct=True), p=any_params(overlap="nearest"))
def test_nearest_is_symmetric_up_to_the_far_source(pair: tuple[Batch, Batch], p: MixParams) -> None:
    a, b = pair
    guide_a, guide_b = guides(a, b, p)
    tau = draw_thresholds(guide_a, guide_b, rngs(a), p.threshold)[:, None, None]
    near = (guide_a < tau) | (guide_b < tau)
    one, other = nearfarmix(a, b, rngs(a), p), nearfarmix(b, a, rngs(a), p)
    assert same_pixels(one, other)[near].all()
    assert same_pixels(one, a)[~near].all()
    assert same_pixels(other, b)[~near].all()


@quickly
@given(pair=pairs(), p=any_params())
def test_near_of_the_result_is_the_union(pair: tuple[Batch, Batch], p: MixParams) -> None:
    """Read from the result itself, where depth is dense or the guide does not reach."""
    p = p.model_copy(update={"guide_reach_px": 0})
    a, b = pair
    tau = draw_thresholds(*guides(a, b, p), rngs(a), p.threshold)[:, None, None]

    def near(batch: Batch) -> torch.Tensor:
        return (batch.depth > 0) & (batch.depth < tau)

    assert torch.equal(near(nearfarmix(a, b, rngs(a), p)), near(a) | near(b))


@quickly
@given(pair=pairs(), p=any_params())
def test_near_of_the_guide_is_the_union_for_sparse_depth(
    pair: tuple[Batch, Batch], p: MixParams
) -> None:
    """Guides travel through the mix as if they were the depth: dense, so known everywhere."""
    a, b = pair
    guide_a, guide_b = guides(a, b, p)
    tau = draw_thresholds(guide_a, guide_b, rngs(a), p.threshold)[:, None, None]
    guided_a = Batch(a.image, guide_a, a.semantic, a.confidence, a.keys)
    guided_b = Batch(b.image, guide_b, b.semantic, b.confidence, b.keys)
    mixed = nearfarmix(guided_a, guided_b, rngs(a), p)
    assert torch.equal(mixed.depth < tau, (guide_a < tau) | (guide_b < tau))


@quickly
@given(pair=pairs(), p=any_params())
def test_targets_come_whole_from_one_frame(pair: tuple[Batch, Batch], p: MixParams) -> None:
    a, b = pair
    mixed = nearfarmix(a, b, rngs(a), p)
    blend = p.overlap == "blend"
    of_a, of_b = (same_pixels(mixed, batch, image=not blend) for batch in (a, b))
    assert (of_a | of_b).all()
    # So no pixel is supervised that its own frame did not measure.
    assert not ((mixed.depth > 0) & (a.depth == 0) & (b.depth == 0)).any()
    assert not ((mixed.depth > 0) & (a.depth == 0) & ~of_b).any()


@quickly
@given(pair=pairs(distinct=True), q=st.floats(0, 1), reach_px=st.integers(0, 6))
def test_quantile_sets_the_share_of_near(
    pair: tuple[Batch, Batch], q: float, reach_px: int
) -> None:
    p = params(low=q, high=q, guide_reach_px=reach_px)
    a, b = (batch if reach_px else _all_different(batch) for batch in pair)
    guide_a, guide_b = guides(a, b, p)
    tau = draw_thresholds(guide_a, guide_b, rngs(a), p.threshold)[:, None, None]
    known = torch.stack([guide_a, guide_b]).isfinite().sum(dim=(0, 2, 3))
    near = torch.stack([guide_a < tau, guide_b < tau]).sum(dim=(0, 2, 3))
    wanted = torch.tensor([math.floor(q * n) for n in known.tolist()])
    # Equal depths (one measurement fills many pixels) stay together on the far side.
    assert (near <= wanted).all()
    if reach_px == 0:
        assert torch.equal(near, wanted)
    below_or_at = torch.stack([guide_a <= tau, guide_b <= tau]).sum(dim=(0, 2, 3))
    assert ((below_or_at > wanted) | (wanted == known)).all()


def _all_different(batch: Batch) -> Batch:
    """The same holes, and depths of which no two are equal (even for one frame, odd the other)."""
    odd = int(torch.round(batch.depth.max() * 1000)) % 2
    values = torch.arange(batch.depth.numel()).flip(0).view_as(batch.depth) * 2 + 2 + odd
    depth = torch.where(batch.depth > 0, values.float(), 0.0)
    return Batch(batch.image, depth, batch.semantic, batch.confidence, batch.keys)


@quickly
@given(pair=pairs(), p=any_params(), rows=st.integers(1, 2))
def test_the_batch_split_does_not_matter(
    pair: tuple[Batch, Batch], p: MixParams, rows: int
) -> None:
    a, b = pair
    whole = nearfarmix(a, b, rngs(a), p)
    for start in range(0, len(a), rows):
        part = slice(start, start + rows)
        mixed = nearfarmix(a[part], b[part], rngs(a)[part], p)
        assert equal(mixed, whole[part])
        assert mixed.keys == whole.keys[part]


def _by_hand(overlap: str, alpha: float = 0.5) -> Batch:
    """One row of six pixels, τ = 3 m: both far; a near; b near; both (a, then b nearer); hole."""
    a = _row(depth=[5, 1, 5, 1, 2, 0], colour=10)
    b = _row(depth=[6, 6, 2, 2, 1, 2], colour=200)
    p = params(mode="metres", low=3.0, high=3.0, overlap=overlap, blend_alpha=alpha)
    return nearfarmix(a, b, rngs(a), p.model_copy(update={"guide_reach_px": 0}))


def _row(depth: list[float], colour: int) -> Batch:
    shape = (1, 1, len(depth))
    return Batch(
        torch.full((1, 3, 1, len(depth)), colour, dtype=torch.uint8),
        torch.tensor(depth, dtype=torch.float32).view(shape),
        torch.full(shape, colour // 10, dtype=torch.uint8),
        torch.full(shape, colour, dtype=torch.uint8),
        (str(colour),),
    )


@pytest.mark.parametrize(
    ("overlap", "alpha", "depth", "image"),
    [
        ("nearest", 0.5, [5, 1, 2, 1, 1, 2], [10, 10, 200, 10, 200, 200]),
        ("first", 0.5, [5, 1, 2, 1, 2, 2], [10, 10, 200, 10, 10, 200]),
        ("blend", 0.5, [5, 1, 2, 1, 2, 2], [10, 10, 200, 105, 105, 200]),
        ("blend", 0.25, [5, 1, 2, 2, 1, 2], [10, 10, 200, 153, 153, 200]),
    ],
)
def test_by_hand(overlap: str, alpha: float, depth: list[float], image: list[int]) -> None:
    mixed = _by_hand(overlap, alpha)
    assert mixed.keys == ("10+200",)
    assert mixed.depth.flatten().tolist() == depth
    assert mixed.image[0, 0].flatten().tolist() == image
    from_b = [value == of_b for value, of_b in zip(depth, [6, 6, 2, 2, 1, 2], strict=True)]
    assert mixed.confidence.flatten().tolist() == [200 if b else 10 for b in from_b]
    assert mixed.semantic.flatten().tolist() == [20 if b else 1 for b in from_b]


def test_thresholds_in_metres_are_uniform() -> None:
    batch = frames(0, (1, 1), num=400)
    p = params(mode="metres", low=2.0, high=6.0)
    tau = draw_thresholds(batch.depth, batch.depth, rngs(batch), p.threshold)
    assert tau.min() >= 2.0
    assert tau.max() <= 6.0
    assert abs(tau.mean().item() - 4.0) < 4 * 4 / math.sqrt(12 * 400)


def test_frames_without_any_depth_do_not_mix() -> None:
    a, b = frames(0, measured=0.0), frames(1, measured=0.0)
    for mode in ("metres", "quantile"):
        assert equal(nearfarmix(a, b, rngs(a), params(mode=mode, low=1.0, high=1.0)), a)
