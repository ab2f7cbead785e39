"""The ray-caster against closed forms and against plain marching along the ray."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symbio.sample.geometry import Camera, Intrinsics, Solid, about_y, hit, screen_box
from symbio.sample.materials import hsv, plain
from symbio.sample.solids import ball, box, hull, plane, post, rod
from symbio.sample.trace import Lens, Light, Scene, render

K = Intrinsics(90.0, 92.0, 51.3, 38.7)
GREY = plain(hsv(0, 0, 0.5))
LENS = Lens(blur=0.5, noise=0.0, vignette=0.0)
ONES = np.ones(3, np.float32)
LIGHT = Light(np.array([0, 5, 0], np.float32), False, ONES, ONES)


def camera(yaw: float = 0.0, pitch: float = 0.0) -> Camera:
    return Camera.looking((0.0, 1.5, 0.0), yaw, pitch, 0.0, K)


def shown(solids: list[Solid], view: Camera) -> np.ndarray:
    return render(Scene(solids, LIGHT), view, LENS, np.random.default_rng(0), (80, 100)).depth


@pytest.mark.parametrize("pitch_deg", [0.0, 7.0, -3.0])
def test_floor_depth_is_height_times_focal_over_rows_below_the_horizon(pitch_deg: float) -> None:
    pitch = math.radians(pitch_deg)
    depth = shown([plane(3, GREY, (0, 0, 0), (0, 1, 0))], camera(pitch=pitch))
    below = (np.arange(80) - K.cy) / K.fy
    down = below * math.cos(pitch) + math.sin(pitch)
    expected = np.where(down > 0, 1.5 / np.where(down > 0, down, 1), np.inf)
    if pitch == 0:
        row = 70
        assert depth[row, 5] == pytest.approx(1.5 * K.fy / (row - K.cy), rel=1e-5)
    np.testing.assert_allclose(depth, np.broadcast_to(expected[:, None], depth.shape), rtol=1e-4)


def test_depth_is_along_the_axis_not_along_the_ray() -> None:
    depth = shown([plane(0, GREY, (0, 0, 4.0), (0, 0, -1))], camera())
    np.testing.assert_allclose(depth, 4.0, rtol=1e-6)


def test_yaw_turns_right_and_pitch_looks_down() -> None:
    ahead = ball(1, GREY, (1.0, 1.0, 5.0), (0.2, 0.2, 0.2))
    for yaw, pitch in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1)):
        rows, columns = np.nonzero(np.isfinite(shown([ahead], camera(yaw=yaw, pitch=pitch))))
        u = K.cx + K.fx * math.tan(math.atan2(1.0, 5.0) - yaw)
        assert columns.mean() == pytest.approx(u, abs=0.7)
        if yaw == 0:
            v = K.cy + K.fy * math.tan(math.atan2(0.5, 5.0) - pitch)
            assert rows.mean() == pytest.approx(v, abs=0.7)


def inside(solid: Solid, points: np.ndarray) -> np.ndarray:
    """Whether points (3, ...) are in a solid, from its definition, float64; flat."""
    away = (points.reshape(3, -1) - solid.centre[:, None]).astype(float)
    x, y, z = own = solid.axes.T.astype(float) @ away
    a, b, c = solid.half.astype(float)
    if solid.kind == "box":
        return (abs(x) <= a) & (abs(y) <= b) & (abs(z) <= c)
    if solid.kind == "ellipsoid":
        return (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 1
    if solid.kind == "cone":
        return (abs(y) <= b) & (np.hypot(x, z) <= a + (c - a) * (y + b) / (2 * b))
    assert solid.sides is not None
    return (solid.sides[:, :3] @ own <= solid.sides[:, 3:]).all(axis=0)


TURNED = about_y(0.6) @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]], np.float32)
SOLIDS = {
    "box": box(1, GREY, (-0.6, -0.3, -0.4), (0.6, 0.3, 0.4)),
    "ellipsoid": ball(1, GREY, (0, 0, 0), (0.7, 0.4, 0.5)),
    "cylinder": rod(1, GREY, (-0.4, -0.3, 0.1), (0.5, 0.4, -0.2), 0.3),
    "cone": post(1, GREY, (0, -0.5, 0), 1.0, 0.5, 0.15),
    "widening cone": post(1, GREY, (0, -0.5, 0), 1.0, 0.1, 0.5),
    "hull": hull(1, GREY, [(0.6, -0.3), (0.5, 0.1), (0.0, 0.4), (-0.6, -0.3)], 0.4, 0.2),
}


@pytest.mark.parametrize("name", SOLIDS)
@pytest.mark.parametrize("turned", [False, True])
def test_hits_agree_with_marching_along_the_ray(name: str, turned: bool) -> None:
    axes = TURNED if turned else np.eye(3, dtype=np.float32)
    solid = SOLIDS[name].moved(axes, np.array([0.2, 1.4, 3.0], np.float32))
    view = camera()
    rays = view.directions(80, 100)[:, ::5, ::5]
    steps = np.linspace(2.0, 4.5, 1501)
    points = view.position.reshape(3, 1, 1, 1) + rays[..., None].astype(float) * steps
    there = inside(solid, points).reshape(points.shape[1:])
    marched = np.where(there.any(axis=-1), steps[there.argmax(axis=-1)], np.inf)
    t = hit(solid, view.position, rays)
    both = np.isfinite(marched) & np.isfinite(t)
    assert both.sum() > 10
    # Rays that graze the outline may differ; there is no other reason to.
    assert (np.isfinite(marched) != np.isfinite(t)).mean() < 0.01
    np.testing.assert_allclose(t[both], marched[both], atol=0.006)


@pytest.mark.parametrize("name", SOLIDS)
def test_nothing_is_hit_outside_its_screen_box(name: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        shift = rng.uniform([-2.5, -0.5, -0.6], [2.5, 3, 4]).astype(np.float32)
        solid = SOLIDS[name].moved(about_y(rng.uniform(0, 6)), shift)
        view = camera(yaw=rng.uniform(-0.3, 0.3))
        t = hit(solid, view.position, view.directions(80, 100))
        rows, columns = np.nonzero(np.isfinite(t) & (t > 0.06))
        found = screen_box(solid, view, 80, 100)
        if found is None:
            assert not rows.size
        elif rows.size:
            top, bottom, left, right = found
            assert top <= rows.min() <= rows.max() < bottom
            assert left <= columns.min() <= columns.max() < right


def test_a_block_throws_a_shadow_on_the_side_away_from_the_light() -> None:
    floor = plane(3, GREY, (0, 0, 0), (0, 1, 0))
    block = box(1, GREY, (-0.3, 0, 2.7), (0.3, 1.0, 3.3))
    light = Light(np.array([-3, 2.5, 3], np.float32), False, ONES * np.float32(0.3), ONES)
    view, rng = camera(pitch=0.3), np.random.default_rng(0)
    image = render(Scene([floor, block], light), view, LENS, rng, (80, 100)).image

    def brightness(x: float, z: float) -> float:
        right, down, ahead = view.axes.T @ np.array([x, -1.5, z])
        u, v = K.cx + K.fx * right / ahead, K.cy + K.fy * down / ahead
        return float(image[round(v), round(u)].mean())

    assert brightness(0.7, 3.0) < 0.75 * brightness(-0.9, 3.0)


def test_scaled_intrinsics_look_at_the_same_place() -> None:
    half = K.scaled(0.5, 0.25)
    # The centre of a pixel of the small picture is the centre of the 4 x 2 pixels it covers.
    assert (3 * 4 + 1.5 - K.cx) / K.fx == pytest.approx((3 - half.cx) / half.fx)
    assert (7 * 2 + 0.5 - K.cy) / K.fy == pytest.approx((7 - half.cy) / half.fy)
