from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symbio.data.classes import IGNORE
from symbio.data.frame import Batch
from symbio.data.guide import guide_depth
from symbio.data.mixing.classmix import classmix
from symbio.data.mixing.cutmix import cutmix
from symbio.data.mixing.depthmix import MARGIN, depthmix
from symbio.data.mixing.nearfarmix import draw_thresholds
from symbio.data.mixing.random_regions import random_regions
from symbio.data.mixing.registry import MIXES
from tests.data.mixing_cases import equal, frames, pairs, params, rngs, same_pixels

quickly = settings(deadline=None, derandomize=True, max_examples=60)
each_mix = pytest.mark.parametrize("name", MIXES)


@each_mix
@quickly
@given(pair=pairs())
def test_pixels_come_whole_from_one_frame(name: str, pair: tuple[Batch, Batch]) -> None:
    a, b = pair
    mixed = MIXES[name](a, b, rngs(a), params())
    assert (same_pixels(mixed, a) | same_pixels(mixed, b)).all()
    assert mixed.keys == tuple(f"{ka}+{kb}" for ka, kb in zip(a.keys, b.keys, strict=True))
    for field in ("image", "depth", "semantic", "confidence"):
        assert getattr(mixed, field).dtype == getattr(a, field).dtype


@each_mix
@quickly
@given(pair=pairs())
def test_a_frame_mixed_with_itself_is_itself(name: str, pair: tuple[Batch, Batch]) -> None:
    a, _ = pair
    assert equal(MIXES[name](a, a, rngs(a), params()), a)


@each_mix
@quickly
@given(pair=pairs(), rows=st.integers(1, 2))
def test_the_batch_split_does_not_matter(name: str, pair: tuple[Batch, Batch], rows: int) -> None:
    a, b = pair
    whole = MIXES[name](a, b, rngs(a), params())
    for start in range(0, len(a), rows):
        part = slice(start, start + rows)
        assert equal(MIXES[name](a[part], b[part], rngs(a)[part], params()), whole[part])


@each_mix
def test_the_sources_are_left_as_they_are(name: str) -> None:
    a, b = frames(0), frames(1)
    MIXES[name](a, b, rngs(a), params())
    assert equal(a, frames(0))
    assert equal(b, frames(1))


@each_mix
def test_something_is_mixed(name: str) -> None:
    """Over a batch of frames both sources show."""
    a, b = frames(0, (20, 30), 8), frames(1, (20, 30), 8, parity=1)
    mixed = MIXES[name](a, b, rngs(a), params())
    share = same_pixels(mixed, b).float().mean().item()
    assert 0.05 < share < 0.95


def test_cutmix_pastes_one_box() -> None:
    a, b = frames(0, (24, 40), 50), frames(1, (24, 40), 50, parity=1)
    from_b = same_pixels(cutmix(a, b, rngs(a), params()), b).numpy()
    for mask in from_b:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if rows.size:
            box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert box.all()
            assert mask.sum() == box.sum()


def test_cutmix_boxes_follow_their_law() -> None:
    num, height, width = 500, 50, 100
    a, b = frames(0, (height, width), num), frames(1, (height, width), num, parity=1)
    from_b = same_pixels(cutmix(a, b, rngs(a), params()), b).numpy()
    assert from_b.any(0).all()
    # A box of side s (share of the frame's) and uniform centre keeps s - s²/4 of a side within
    # the frame; with s² uniform the mean area is 1/2 - 1/5 + 1/48.
    expected = 1 / 2 - 1 / 5 + 1 / 48
    assert from_b.mean() == pytest.approx(expected, abs=0.05)
    touching = from_b[:, [0, -1]].any((1, 2)) | from_b[:, :, [0, -1]].any((1, 2))
    heights, widths = from_b.any(2).sum(1)[~touching], from_b.any(1).sum(1)[~touching]
    assert len(heights) > 50
    # The frame's shape, on both sides of the centre pixel a half that is rounded down.
    assert not (heights % 2).any()
    assert not (widths % 2).any()
    assert np.abs(widths - 2 * heights).max() <= 4


def test_classmix_pastes_half_of_the_classes() -> None:
    a, b = frames(3, (12, 15), 60), frames(4, (12, 15), 60, parity=1)
    for row, last in enumerate([0, 1, 2, 3, 40, 149] * 10):  # one to six classes a frame
        classes_of_row = a.semantic[row]
        classes_of_row[(classes_of_row > last) & (classes_of_row < IGNORE)] = 0
    mixed = classmix(a, b, rngs(a), params())
    pasted = []
    for row in range(len(a)):
        from_a = same_pixels(mixed, a)[row]
        classes = set(a.semantic[row][from_a].tolist())
        present = set(a.semantic[row].flatten().tolist()) - {IGNORE}
        assert len(present) == row % 6 + 1
        assert IGNORE not in classes
        assert len(classes) == math.ceil(len(present) / 2)
        chosen = torch.tensor(sorted(classes), dtype=torch.uint8)
        assert torch.equal(from_a, torch.isin(a.semantic[row], chosen))
        assert same_pixels(mixed, b)[row][~from_a].all()
        pasted.append(classes)
    assert set().union(*pasted) == {0, 1, 2, 3, 40, 149}
    assert len({tuple(sorted(classes)) for classes in pasted}) > 10


def test_classmix_without_labels_gives_the_partner() -> None:
    a, b = frames(3), frames(4)
    bare = Batch(a.image, a.depth, torch.full_like(a.semantic, IGNORE), a.confidence, a.keys)
    assert equal(classmix(bare, b, rngs(a), params()), b)


@quickly
@given(pair=pairs(), reach_px=st.integers(0, 4))
def test_depthmix_equals_the_slow_definition(pair: tuple[Batch, Batch], reach_px: int) -> None:
    a, b = pair
    mixed = depthmix(a, b, rngs(a), params(guide_reach_px=reach_px))
    for row in range(len(a)):
        disparity = []
        for batch in pair:
            guide = guide_depth(batch.depth, batch.semantic, reach_px)[row].numpy()
            values = [np.float32(1) / v for v in guide.ravel() if np.isfinite(v)]
            low, high = min(values, default=np.float32(0)), max(values, default=np.float32(0))
            disparity.append(
                [
                    (np.float32(1) / v - low) / (high - low)
                    if np.isfinite(v) and high > low
                    else np.float32(0)
                    for v in guide.ravel()
                ]
            )
        from_a = torch.tensor(
            [bool(da >= db - np.float32(MARGIN)) for da, db in zip(*disparity, strict=True)]
        ).view_as(a.depth[row])
        assert same_pixels(mixed, a)[row][from_a].all()
        assert same_pixels(mixed, b)[row][~from_a].all()


@quickly
@given(
    seed=st.integers(0, 2**20),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    measured=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_random_regions_are_as_large_as_the_near_regions(
    seed: int, size: tuple[int, int], measured: float
) -> None:
    """`a` has no depth at all, so that all of b's Near shows, and nothing else of b."""
    a = frames(seed, size, 3, measured=0.0)
    b = frames(seed + 1, size, 3, measured, ties=False, parity=1)
    p = params(mix="random")
    guide_a = guide_depth(a.depth, a.semantic, p.guide_reach_px)
    guide_b = guide_depth(b.depth, b.semantic, p.guide_reach_px)
    tau = draw_thresholds(guide_a, guide_b, rngs(a), p.threshold)[:, None, None]
    wanted = (guide_b < tau).sum(dim=(1, 2))
    mixed = random_regions(a, b, rngs(a), p)
    from_b = (~same_pixels(mixed, a)).sum(dim=(1, 2))
    # A pixel in which both frames happen to be alike cannot be told apart.
    alike = same_pixels(a, b).sum(dim=(1, 2))
    ties = 2  # equal noise stays out of Near
    assert ((from_b <= wanted) & (from_b + alike + ties >= wanted)).all()


def test_random_regions_do_not_follow_depth() -> None:
    """Over many draws each pixel is as often Near, however near it really is."""
    num = 300
    ramp = torch.linspace(1, 9, 24).expand(num, 16, 24).contiguous()
    a = frames(0, (16, 24), num, measured=0.0)
    b = frames(1, (16, 24), num)
    b = Batch(b.image, ramp, torch.zeros_like(b.semantic), b.confidence, b.keys)
    mixed = random_regions(a, b, rngs(a), params(low=0.5, high=0.5))
    share = (mixed.depth > 0).float().mean(dim=(0, 1))
    assert share.mean().item() == pytest.approx(0.5, abs=0.02)
    half = len(share) // 2
    assert share[:half].mean().item() == pytest.approx(share[half:].mean().item(), abs=0.08)


def test_random_regions_of_the_two_frames_are_independent() -> None:
    """Regions of half of each frame: a quarter is Near in b alone."""
    a, b = frames(0, (16, 24), 200, ties=False), frames(1, (16, 24), 200, ties=False, parity=1)
    p = params(low=0.5, high=0.5, overlap="first")
    share = same_pixels(random_regions(a, b, rngs(a), p), b).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.03)


def test_random_regions_hang_together() -> None:
    """Neighbours mostly share their source, as in regions and unlike in salt and pepper."""
    a, b = frames(0, (40, 50), 20, measured=0.0), frames(1, (40, 50), 20)
    mixed = random_regions(a, b, rngs(a), params(low=0.5, high=0.5, guide_reach_px=0))
    from_b = mixed.depth > 0
    assert (from_b[..., 1:] == from_b[..., :-1]).float().mean().item() > 0.9
    assert 0.1 < from_b.float().mean().item() < 0.6
