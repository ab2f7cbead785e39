"""What the sensors miss: shares like the real data sets', and shadows against a slow version."""

from __future__ import annotations

import numpy as np
import pytest

from symbio.sample import ade
from symbio.sample.calibration import RIGS
from symbio.sample.geometry import Intrinsics
from symbio.sample.holes import raw_depth, shadowed
from symbio.sample.lidar import BEAM_DEG, annotated, beam_rows
from symbio.sample.rooms import render_room
from symbio.sample.streets import render_street


def test_raw_depth_is_the_true_depth_with_holes_and_saturation() -> None:
    valid, saturated = [], 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        frame = render_room(rng)
        raw = raw_depth(frame, rng)
        assert raw.dtype == np.float32
        measured = (raw > 0) & (raw != 10)
        np.testing.assert_allclose(raw[measured], frame.depth[measured], atol=0.00051)
        assert set(np.unique(frame.semantic[raw == 10])) <= {ade.WINDOW}
        millimetres = np.rint(raw.astype(np.float64) * 1000)
        np.testing.assert_array_equal((millimetres / 1000).astype(np.float32), raw)
        assert not raw[:7].any()
        assert not raw[474:].any()
        valid.append((raw > 0).mean())
        saturated += int((raw == 10).sum())
    assert 0.67 <= np.mean(valid) <= 0.75
    assert saturated > 1000


def test_shadows_are_where_the_projector_cannot_see() -> None:
    """Row by row, pixel pair by pixel pair: hidden if some pixel to the left shifts beyond."""
    rng = np.random.default_rng(4)
    depth = rng.choice([1.0, 1.6, 3.0], (6, 80), p=[0.1, 0.1, 0.8]).astype(np.float32)
    k = Intrinsics(500.0, 500.0, 40.0, 3.0)
    place = np.arange(80) + 500 * 0.075 / depth
    slow = np.array([[(row[:u] > row[u] + 0.5).any() for u in range(80)] for row in place])
    np.testing.assert_array_equal(shadowed(depth, k), slow)
    assert 0.1 < slow.mean() < 0.9


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.date)
def test_annotated_depth_covers_a_fifth_and_spares_the_upper_third(rig: object) -> None:
    assert isinstance(rig, type(RIGS[0]))
    rng = np.random.default_rng(rig.height)
    frame = render_street(rng, rig.height, rig.width, rig.intrinsics)
    stored, own = annotated(frame, rng)
    assert stored.dtype == np.uint16
    assert stored.shape == (rig.height, rig.width)
    assert 0.175 <= (stored > 0).mean() <= 0.215
    assert not stored[: rig.height // 3].any()
    seen = stored > 0
    np.testing.assert_array_equal(stored[seen], np.rint(frame.depth[seen].astype(float) * 256))
    assert (own <= seen).all()
    assert 0.1 < own.sum() / seen.sum() < 0.5


def test_beams_are_seen_at_their_elevation() -> None:
    k = RIGS[0].intrinsics
    columns = np.array([0.0, k.cx, 1200.0], np.float32)
    rows = beam_rows(k, columns)
    x, y = (columns - k.cx) / k.fx, (rows - k.cy) / k.fy
    elevation = np.degrees(np.arctan2(-y, np.hypot(x, 1)))
    np.testing.assert_allclose(elevation, np.broadcast_to(BEAM_DEG[:, None], rows.shape), atol=1e-3)
    assert len(BEAM_DEG) == 64
