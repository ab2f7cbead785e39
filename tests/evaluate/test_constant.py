from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbio.evaluate.constant import best_constant_depth, weighted_median
from symbio.evaluate.protocol import PROTOCOLS


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 40))
def test_weighted_median_is_the_minimum(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.sort(rng.uniform(0.1, 80.0, size))
    weights = rng.uniform(0.0, 1.0, size) * (rng.random(size) < 0.7)
    weights[rng.integers(size)] += 0.1
    costs = (weights * np.abs(values - values[:, None])).sum(axis=1)
    assert costs[weighted_median(weights)] == pytest.approx(costs.min())


@pytest.mark.parametrize(
    "name", ["nyu-eigen", "nyu-multitask", "none", "kitti-eigen-garg-kb", "kitti-eigen-garg-full"]
)
def test_no_other_constant_has_a_lower_abs_rel(name: str, nyu: Any, kitti: Any) -> None:
    protocol = PROTOCOLS[name]
    world, scale = (kitti, 256) if name.startswith("kitti") else (nyu, 1000)
    keys = world.prepared.splits["test"]
    frames = []
    for key in keys:
        box = protocol.box(*world.depth[key].shape)
        inside = world.depth[key][box.top : box.bottom, box.left : box.right] / scale
        kept = inside[(inside > protocol.min_depth_m) & (inside < protocol.max_depth_m)]
        if kept.size:
            frames.append(kept)

    def abs_rel(constant: float) -> float:
        errors = [np.abs(frame - constant) / frame for frame in frames]
        if protocol.aggregation == "pooled":
            return float(np.concatenate(errors).mean())
        return float(np.mean([error.mean() for error in errors]))

    best = best_constant_depth(world.prepared, keys, protocol)
    assert best is not None
    rivals = [abs_rel(best * factor) for factor in (0.5, 0.9, 0.97, 0.997, 1.003, 1.03, 1.1, 2)]
    assert abs_rel(best) < min(rivals)


def test_no_depth_no_constant(nyu: Any) -> None:
    assert best_constant_depth(nyu.prepared, ["nyu-1"], PROTOCOLS["nyu-eigen"]) is None
