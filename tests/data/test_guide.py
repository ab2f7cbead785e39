from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from symbio.data.classes import ade20k_names
from symbio.data.frame import Batch
from symbio.data.guide import MAX_REACH_PX, SKY, guide_depth
from symbio.errors import SymbioError
from tests.data.mixing_cases import frames


def slow_guide(batch: Batch, reach_px: int) -> torch.Tensor:
    """The definition, pixel by pixel."""
    guide = torch.full_like(batch.depth, torch.inf)
    num, height, width = guide.shape
    for n in range(num):
        spots = [(y, x) for y in range(height) for x in range(width) if batch.depth[n, y, x] > 0]
        for y in range(height):
            for x in range(width):
                near = [
                    ((v - y) ** 2 + (u - x) ** 2, u - x, v - y, v, u)
                    for v, u in spots
                    if (v - y) ** 2 + (u - x) ** 2 <= reach_px**2
                ]
                is_sky = batch.semantic[n, y, x] == SKY and batch.depth[n, y, x] == 0
                if near and not is_sky:
                    *_, v, u = min(near)
                    guide[n, y, x] = batch.depth[n, v, u]
    return guide


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    measured=st.sampled_from([0.1, 0.4, 0.03, 0.9, 1.0, 0.0]),
    reach_px=st.integers(0, 9),
    ties=st.booleans(),
)
def test_equals_the_slow_definition(
    seed: int, size: tuple[int, int], measured: float, reach_px: int, ties: bool
) -> None:
    batch = frames(seed, size, 2, measured, ties)
    before = batch.depth.clone()
    guide = guide_depth(batch.depth, batch.semantic, reach_px)
    assert guide.dtype == torch.float32
    assert torch.equal(guide, slow_guide(batch, reach_px))
    assert torch.equal(batch.depth, before)


@pytest.mark.parametrize("reach_px", [3, 16, MAX_REACH_PX])
def test_distances_are_exact_on_a_lidar_sized_map(reach_px: int) -> None:
    """Against scipy's exact Euclidean distance transform; every depth names its pixel."""
    rng = np.random.default_rng(0)
    height, width = 88, 304
    depth = rng.permutation(height * width).reshape(height, width).astype(np.float32) + 1
    where = {value: divmod(i, width) for i, value in enumerate(depth.ravel().tolist())}
    depth[rng.random(depth.shape) > 0.01] = 0
    depth[: height // 3] = 0
    no_sky = torch.zeros(1, height, width, dtype=torch.uint8)
    guide = guide_depth(torch.from_numpy(depth)[None], no_sky, reach_px)[0].numpy()
    distance = ndimage.distance_transform_edt(depth == 0)
    assert np.array_equal(np.isfinite(guide), distance <= reach_px)
    found = np.argwhere(np.isfinite(guide))
    sources = np.array([where[value] for value in guide[np.isfinite(guide)].tolist()])
    squared = ((found - sources) ** 2).sum(1)
    assert np.array_equal(squared, np.rint(distance[np.isfinite(guide)] ** 2))


@pytest.mark.parametrize("reach_px", [0, 1, 16, MAX_REACH_PX])
def test_measured_pixels_keep_their_depth(reach_px: int) -> None:
    dense = frames(1, (20, 30))
    assert torch.equal(guide_depth(dense.depth, dense.semantic, reach_px), dense.depth)
    sparse = frames(2, (20, 30), measured=0.1, ties=False)
    measured = sparse.depth > 0
    guide = guide_depth(sparse.depth, sparse.semantic, reach_px)
    assert torch.equal(guide[measured], sparse.depth[measured])


def test_sky_and_empty_frames_are_far() -> None:
    depth = torch.zeros(1, 3, 3)
    sky = torch.full((1, 3, 3), SKY, dtype=torch.uint8)
    assert torch.isinf(guide_depth(depth, sky, 5)).all()
    depth[0, 1, 1] = 4.0
    guide = guide_depth(depth, sky, 5)
    assert guide[0, 1, 1] == 4.0
    assert torch.isinf(guide).sum() == 8
    assert torch.isfinite(guide_depth(depth, torch.zeros_like(sky), 5)).all()


def test_sky_is_ade20ks_sky() -> None:
    assert ade20k_names()[SKY] == "sky"


@pytest.mark.parametrize("reach_px", [-1, MAX_REACH_PX + 1])
def test_reach_out_of_range_names_the_parameter(reach_px: int) -> None:
    batch = frames(0)
    with pytest.raises(SymbioError, match=rf"guide_reach_px: found {reach_px}, .* 0 to 127"):
        guide_depth(batch.depth, batch.semantic, reach_px)
