"""Rooms and streets: what is in them, and that the seed alone decides it."""

from __future__ import annotations

import numpy as np
import pytest

from symbio.data.classes import label_space
from symbio.sample import ade
from symbio.sample.calibration import RIGS
from symbio.sample.floorplan import footprint
from symbio.sample.rooms import NYU_INTRINSICS, SCENES, build_room, render_room
from symbio.sample.streets import render_street
from symbio.sample.trace import Rendered

STREET = RIGS[0].intrinsics.scaled(88 / 375, 304 / 1242)


def room(seed: int) -> Rendered:
    return render_room(np.random.default_rng([1, seed]), 96, 128)


def street(seed: int) -> Rendered:
    return render_street(np.random.default_rng([2, seed]), 88, 304, STREET)


@pytest.fixture(scope="module")
def rooms() -> list[Rendered]:
    return [room(seed) for seed in range(60)]


@pytest.fixture(scope="module")
def streets() -> list[Rendered]:
    return [street(seed) for seed in range(30)]


@pytest.mark.parametrize(("world", "classes"), [("rooms", ade.ROOMS), ("streets", ade.STREETS)])
def test_every_class_is_in_a_tenth_of_the_frames_and_large(
    world: str, classes: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    frames = request.getfixturevalue(world)
    counts = [np.bincount(frame.semantic.ravel(), minlength=150) for frame in frames]
    shares = np.array(counts) / frames[0].semantic.size
    assert len(classes) >= 15
    assert set(np.flatnonzero(shares.sum(axis=0))) == set(classes)
    for label in classes:
        present = shares[:, label] > 0.0008
        assert present.mean() >= 0.1, label
        assert shares[present, label].mean() > 0.004, label


@pytest.mark.parametrize("make", [room, street])
def test_the_generator_decides_everything(make: object) -> None:
    assert callable(make)
    one, again, other = make(5), make(5), make(6)
    for field in ("image", "depth", "semantic"):
        np.testing.assert_array_equal(getattr(one, field), getattr(again, field))
    assert (one.image != other.image).mean() > 0.5


def test_a_smaller_picture_shows_the_same_view() -> None:
    for seed in range(3):
        large = render_room(np.random.default_rng(seed), 240, 320)
        small = render_room(np.random.default_rng(seed), 120, 160)
        assert (large.semantic[::2, ::2] == small.semantic).mean() > 0.95
        ratio = large.depth[::2, ::2] / small.depth
        assert np.median(ratio) == pytest.approx(1, abs=0.01)
        assert small.intrinsics.fx == pytest.approx(NYU_INTRINSICS.fx / 4)


def test_room_depth_is_what_a_kinect_can_measure(rooms: list[Rendered]) -> None:
    for frame in rooms:
        assert frame.depth.dtype == np.float32
        assert frame.image.dtype == np.uint8
        assert frame.depth.min() >= 0.5
        assert frame.depth.max() < 10
    far = np.array([np.median(f.depth) for f in rooms])
    assert far.max() / far.min() > 1.5


def test_street_depth_ends_at_80_m_and_only_sky_is_beyond(streets: list[Rendered]) -> None:
    for frame in streets:
        sky = frame.semantic == ade.SKY
        np.testing.assert_array_equal(sky, np.isinf(frame.depth))
        assert frame.depth[~sky].min() > 2
        assert 60 < frame.depth[~sky].max() <= 80


def test_the_road_is_where_a_camera_at_its_height_sees_it(streets: list[Rendered]) -> None:
    """The plane fitted to the road's back-projected points is 1.65 m below the camera."""
    for frame in streets[:10]:
        rows, columns = np.nonzero(frame.semantic == ade.ROAD)
        z = frame.depth[rows, columns].astype(float)
        k = frame.intrinsics
        points = np.column_stack([(columns - k.cx) / k.fx * z, (rows - k.cy) / k.fy * z, z])
        normal, *_ = np.linalg.lstsq(points, np.ones(len(points)), rcond=None)
        assert 1 / np.linalg.norm(normal) == pytest.approx(1.65, abs=0.01)
        np.testing.assert_allclose(points @ normal, 1, atol=1e-3)


@pytest.mark.parametrize(
    ("truth", "codes"), [("nyu894", ade.NYU894), ("cityscapes", ade.CITYSCAPES)]
)
def test_stored_label_ids_score_as_the_class_they_are(truth: str, codes: dict[int, int]) -> None:
    space = label_space(truth)
    for label, code in codes.items():
        assert space.from_truth[code] == space.from_ade20k[label], label
    reached = {int(space.from_truth[code]) for code in codes.values()} - {255}
    assert len(reached) >= 15


def test_furniture_stays_inside_the_room() -> None:
    for seed in range(30):
        plan, _ = build_room(np.random.default_rng(seed), SCENES[seed % 3])
        for solid in plan.solids:
            if solid.kind != "plane":
                left, right, _, far = footprint(solid)
                assert left > plan.left - 0.05
                assert right < plan.right + 0.05
                assert far < plan.far + 0.05
