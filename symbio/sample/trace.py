"""The ray-caster: a scene and a camera become image, depth and semantics.

Three passes. Visibility: each solid is met only by the rays of its own box on the screen, nearest
wins. Light: shadows and the darkening in corners are found on a coarser grid of visible points and
interpolated. Colour: each solid's visible points are coloured by its material. All float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from symbio.sample.geometry import (
    Camera,
    Float,
    Intrinsics,
    Solid,
    Surface,
    hit,
    normals,
    screen_box,
)
from symbio.sample.noise import smooth

_CORNER_REACH_M = 0.16
_CORNER_SHARE = 0.34
_LIGHT_ROWS = 120


@dataclass(frozen=True, slots=True)
class Rendered:
    """One frame.

    image: uint8 (H, W, 3) RGB. depth: float32 (H, W) metres along the optical axis, infinity
    where there is only sky. semantic: uint8 (H, W) ADE20K class 0..149.
    """

    image: NDArray[np.uint8]
    depth: Float
    semantic: NDArray[np.uint8]
    intrinsics: Intrinsics


@dataclass(frozen=True, slots=True)
class Light:
    """A key light over an ambient one; `sun` makes `place` a direction instead of a point."""

    place: Float
    sun: bool
    ambient: Float
    """RGB (3,)."""
    key: Float
    """RGB (3,)."""
    soft: float = 0.0
    """Sigma (coarse pixels) of the shadows' edge."""


@dataclass(frozen=True, slots=True)
class Air:
    """Sky and haze: colours (3,) and the distance (metres) at which haze covers 63 %."""

    zenith: Float
    horizon: Float
    haze_m: float
    cloud: float
    label: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see."""

    solids: list[Solid]
    light: Light
    air: Air | None = None


@dataclass(frozen=True, slots=True)
class Lens:
    """What the camera adds: blur (pixels at 480 rows), noise (grey levels), darker corners."""

    blur: float
    noise: float
    vignette: float
    exposure: float = 1.0


def render(
    scene: Scene, camera: Camera, lens: Lens, rng: np.random.Generator, size: tuple[int, int]
) -> Rendered:
    """Render a scene at `size` = (height, width) pixels."""
    height, width = size
    rays = camera.directions(height, width)
    depth, owner = _visible(scene.solids, camera, rays)
    lit, shade = _light(scene, camera, rays, depth, owner)
    colours = np.zeros((height * width, 3), np.float32)
    semantic = np.zeros(height * width, np.uint8)
    flat = owner.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(-1, len(scene.solids) + 1))
    flat_rays, flat_depth = rays.reshape(3, -1), depth.reshape(-1)
    lit, shade = lit.reshape(-1), shade.reshape(-1)
    for index, solid in enumerate(scene.solids):
        at = order[ends[index + 1] : ends[index + 2]]
        if at.size:
            semantic[at] = solid.label
            colours[at] = _coloured(
                solid, scene.light, camera, flat_rays[:, at], flat_depth[at], lit[at], shade[at]
            )
    sky = order[: ends[1]]
    if scene.air is not None:
        _haze(colours, flat_depth, scene.air, order[ends[1] :])
        semantic[sky] = scene.air.label
        colours[sky] = _sky(scene.air, flat_rays[:, sky])
    image = _develop(colours.reshape(height, width, 3), lens, rng)
    return Rendered(image, depth, semantic.reshape(height, width), camera.intrinsics)


def _visible(solids: list[Solid], camera: Camera, rays: Float) -> tuple[Float, NDArray[np.int16]]:
    """Depth (H, W) and the index of the solid seen (H, W), -1 where there is none."""
    height, width = rays.shape[1:]
    depth = np.full((height, width), np.inf, np.float32)
    owner = np.full((height, width), -1, np.int16)
    for index, solid in enumerate(solids):
        box = screen_box(solid, camera, height, width)
        if box is None:
            continue
        window = np.s_[box[0] : box[1], box[2] : box[3]]
        t = hit(solid, camera.position, rays[(slice(None), *window)])
        if solid.fuzz:
            t = _frayed(solid, camera, rays[(slice(None), *window)], t)
        nearer = t < depth[window]
        depth[window][nearer] = t[nearer]
        owner[window][nearer] = index
    return depth, owner


def _frayed(solid: Solid, camera: Camera, rays: Float, t: Float) -> Float:
    """Let rays pass where an ellipsoid's outline is frayed: seen edge-on, and by noise."""
    on = np.isfinite(t)
    d = rays[:, on]
    p = solid.axes.T @ ((camera.position - solid.centre)[:, None] + t[on] * d)
    n = p / solid.half[:, None]
    facing = np.abs(((solid.axes.T @ d) / solid.half[:, None] * n).sum(axis=0))
    facing /= np.sqrt((((solid.axes.T @ d) / solid.half[:, None]) ** 2).sum(axis=0))
    grain = 9.0 / float(solid.half.mean())
    keep = smooth((n[0] + n[1] * 0.7) * grain + 31, (n[2] - n[1] * 0.6) * grain, 2)
    out = t.copy()
    out[on] = np.where(facing > keep * np.float32(solid.fuzz), t[on], np.float32(np.inf))
    return out


def _light(
    scene: Scene, camera: Camera, rays: Float, depth: Float, owner: NDArray[np.int16]
) -> tuple[Float, Float]:
    """Share of the key light (H, W) and of the ambient light (H, W) that reach each pixel."""
    height, width = depth.shape
    step = max(1, round(height / _LIGHT_ROWS))
    coarse = np.s_[step // 2 :: step, step // 2 :: step]
    t, who = depth[coarse], owner[coarse]
    on = np.isfinite(t)
    points = camera.position[:, None] + t[on] * rays[(slice(None), *coarse)][:, on]
    lit, open_ = _reached(scene, points, who[on])
    maps = []
    for values, soft in ((lit, scene.light.soft), (np.maximum(open_, 0.3), 0.0)):
        grid = np.ones(t.shape, np.float32)
        grid[on] = values
        if soft:
            grid = cv2.GaussianBlur(grid, (0, 0), soft)
        # The grid's samples lie at step // 2 + step * i: an affine map puts them back there.
        back = np.array([[step, 0, step // 2], [0, step, step // 2]], np.float32)
        maps.append(
            cv2.warpAffine(
                grid, back, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        )
    return maps[0], maps[1]


def _reached(scene: Scene, points: Float, owner: NDArray[np.int16]) -> tuple[Float, Float]:
    """Share of key and ambient light at points (3, N), seen on the solids `owner` (N).

    A solid is met only by the shadow rays that pass through the ball around it.
    """
    light, count = scene.light, points.shape[1]
    if light.sun:
        towards = np.ascontiguousarray(np.broadcast_to(light.place[:, None], points.shape))
        reach, lift = np.full(count, np.inf, np.float32), 0.03
    else:
        towards = light.place[:, None] - points
        reach = np.sqrt((towards * towards).sum(axis=0))
        towards /= reach
        lift = 0.012
    start = points + towards * lift
    point_square = (points * points).sum(axis=0)
    point_along = (points * towards).sum(axis=0)
    lit, open_ = np.ones(count, np.float32), np.ones(count, np.float32)
    for index, solid in enumerate(scene.solids):
        if solid.kind == "plane":
            away = np.abs(solid.axes[:, 1] @ points - solid.axes[:, 1] @ solid.centre)
            away[owner == index] = np.inf
            open_ *= 1 - np.float32(_CORNER_SHARE) * np.exp(-away / np.float32(_CORNER_REACH_M))
            continue
        if not solid.casts:
            continue
        centre, radius = solid.centre, float(np.linalg.norm(solid.extent()))
        square = point_square - 2 * (centre @ points) + centre @ centre
        along = centre @ towards - point_along
        at = np.flatnonzero((square - along * along < radius * radius) & (along > -radius))
        if at.size:
            blocked = hit(solid, start[:, at], towards[:, at]) < reach[at] * 0.98
            blocked &= (owner[at] != index) | (solid.kind != "ellipsoid")
            lit[at[blocked]] = 0
        at = np.flatnonzero((square < (radius + 3 * _CORNER_REACH_M) ** 2) & (owner != index))
        if at.size:
            gap = np.abs(solid.axes.T @ (points[:, at] - centre[:, None])) - solid.extent()[:, None]
            away = np.sqrt((np.maximum(gap, 0) ** 2).sum(axis=0))
            open_[at] *= 1 - np.float32(_CORNER_SHARE) * np.exp(-away / np.float32(_CORNER_REACH_M))
    return lit, open_


def _coloured(
    solid: Solid, light: Light, camera: Camera, rays: Float, depth: Float, lit: Float, shade: Float
) -> Float:
    """RGB (N, 3) of visible points of one solid."""
    points = camera.position[:, None] + depth * rays
    own = np.asarray(solid.axes.T @ (points - solid.centre[:, None]), np.float32)
    normal, face = normals(solid, own)
    u = np.where(face == 0, own[2], own[0])
    v = np.where(face == 1, own[2], own[1])
    pixel = depth / np.float32(camera.intrinsics.fx)
    colour = solid.colour(Surface(own[0], own[1], own[2], u, v, face, solid.half, pixel))
    if solid.glow >= 1:
        return colour
    world = solid.axes @ normal
    if light.sun:
        cosine = np.clip(light.place @ world, 0, 1)
    else:
        towards = light.place[:, None] - points
        squared = (towards * towards).sum(axis=0)
        cosine = np.clip((towards * world).sum(axis=0) / np.sqrt(squared), 0, 1)
        cosine = cosine / (0.55 + 0.09 * squared)
    # Ambient light comes rather from above; faces of one solid get a little of each other's tone.
    sky = 0.86 + 0.14 * world[1] + 0.05 * world[0]
    strength = (sky * shade)[:, None] * light.ambient + (cosine * lit)[:, None] * light.key
    return np.asarray(colour * (solid.glow + (1 - solid.glow) * strength), np.float32)


def _haze(colours: Float, depth: Float, air: Air, at: NDArray[np.intp]) -> None:
    share = (1 - np.exp(-depth[at] / np.float32(air.haze_m)))[:, None]
    colours[at] += share * (air.horizon - colours[at])


def _sky(air: Air, rays: Float) -> Float:
    flat = np.hypot(rays[0], rays[2]) + np.float32(1e-6)
    up = np.clip(rays[1] / flat, 0.01, 2)
    share = np.clip(up / 0.45, 0, 1)[:, None] ** 0.7
    colour = air.horizon + share * (air.zenith - air.horizon)
    cloud = smooth(rays[0] / (up + 0.25) * 7 + 40, rays[2] / flat * 9 / (up + 0.25), 5)
    cover = np.clip((cloud - (1 - np.float32(air.cloud))) * 3, 0, 1)[:, None] * 0.8
    return np.asarray(colour + cover * (0.97 - colour), np.float32)


def _develop(colours: Float, lens: Lens, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, a soft shoulder, vignette, blur and sensor noise."""
    height, width = colours.shape[:2]
    colours = colours * np.float32(lens.exposure)
    # Up to 0.8 as it is, above it compressed, so that windows and lamps keep some drawing.
    over = np.maximum(colours - 0.8, 0)
    colours = np.minimum(colours, 0.8) + over / (1 + over * 3.5)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    colours *= (1 - np.float32(lens.vignette) * (x * x + y * y) / 2)[:, :, None]
    blur = lens.blur * height / 480
    if blur > 0.15:
        colours = cv2.GaussianBlur(colours, (0, 0), blur)
    grey = rng.standard_normal((height, width), dtype=np.float32)
    tint = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), dtype=np.float32)
    tint = cv2.resize(tint, (width, height), interpolation=cv2.INTER_LINEAR)
    levels = colours * 255 + np.float32(lens.noise) * (grey[:, :, None] + tint)
    return np.asarray(np.clip(levels + 0.5, 0, 255), np.uint8)
