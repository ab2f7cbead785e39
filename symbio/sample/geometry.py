"""Solids and cameras: what a ray hits, and where on the screen a solid can be.

World axes: x right, y up, z forward, metres. Camera axes: x right, y down, z forward. Rays are
`origin + t * direction` where the direction's camera z is 1, so that t *is* the depth (the
distance along the optical axis, as NYU and KITTI store it), not the distance along the ray.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Colour = Callable[["Surface"], Float]
"""A material: surface points (N) -> RGB (N, 3) in 0..1."""

NEAR = np.float32(0.05)
"""Nothing nearer than this (metres) is seen."""

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)
_EDGES = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """Pinhole camera, pixels; the pixel in column u, row v looks at ((u-cx)/fx, (v-cy)/fy, 1)."""

    fx: float
    fy: float
    cx: float
    cy: float

    def scaled(self, rows: float, columns: float) -> Intrinsics:
        """The same camera with the picture resized by these factors (pixel centres at integers)."""
        return Intrinsics(
            self.fx * columns,
            self.fy * rows,
            (self.cx + 0.5) * columns - 0.5,
            (self.cy + 0.5) * rows - 0.5,
        )


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera in the world: the columns of `axes` (3, 3) are its right, down and forward."""

    position: Float
    axes: Float
    intrinsics: Intrinsics

    @classmethod
    def looking(
        cls,
        position: tuple[float, float, float],
        yaw: float,
        pitch: float,
        roll: float,
        k: Intrinsics,
    ) -> Camera:
        """Angles in radians; yaw turns right, pitch looks down, roll tilts clockwise."""
        turn = about_y(yaw)
        c, s = np.cos(pitch), np.sin(pitch)
        tip = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        c, s = np.cos(roll), np.sin(roll)
        level = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        upright = np.diag([1.0, -1.0, 1.0])
        axes = turn.astype(np.float64) @ tip @ level @ upright
        return cls(np.array(position, np.float32), axes.astype(np.float32), k)

    def directions(self, height: int, width: int) -> Float:
        """World directions of all pixels, (3, height, width), with camera z = 1."""
        k = self.intrinsics
        x = ((np.arange(width) - k.cx) / k.fx).astype(np.float32)[None, :]
        y = ((np.arange(height) - k.cy) / k.fy).astype(np.float32)[:, None]
        a = self.axes
        return np.stack([a[i, 0] * x + a[i, 1] * y + a[i, 2] for i in range(3)])


@dataclass(frozen=True, slots=True)
class Solid:
    """One body of a scene.

    A box has half sizes `half`; an ellipsoid radii `half`; a cone stands on its own y axis,
    `half` = (bottom radius, half height, top radius): equal radii make a cylinder. A plane is
    all that has own y = 0. A hull is the convex body inside all of `sides`; `half` must enclose it.
    """

    kind: Literal["box", "ellipsoid", "cone", "plane", "hull"]
    centre: Float
    half: Float
    label: int
    colour: Colour
    axes: Float = field(default_factory=lambda: np.eye(3, dtype=np.float32))
    """(3, 3): columns are the solid's own axes in the world."""
    glow: float = 0.0
    """Share of the colour that needs no light: 1 for a lamp or a window."""
    fuzz: float = 0.0
    """How far, 0..1, an ellipsoid's outline is frayed (foliage)."""
    sides: Float | None = None
    """A hull's planes (K, 4): unit outward normal and distance from the centre, own axes."""
    casts: bool = True
    """Whether it throws a shadow and darkens what is beside it."""

    def extent(self) -> Float:
        """Half sizes (3,) of the box around it, own axes."""
        if self.kind == "cone":
            radius = max(self.half[0], self.half[2])
            return np.array([radius, self.half[1], radius], np.float32)
        return self.half

    def moved(self, axes: Float, offset: Float) -> Solid:
        """Turned by `axes` about the world's origin, then shifted by `offset`."""
        return replace(self, centre=axes @ self.centre + offset, axes=axes @ self.axes)


@dataclass(frozen=True, slots=True)
class Surface:
    """Points (N) of one solid, own axes, for its material to colour."""

    x: Float
    y: Float
    z: Float
    u: Float
    """Metres across the face (N)."""
    v: Float
    """Metres up the face (N)."""
    face: NDArray[np.int8]
    """Own axis (0, 1, 2) that the face looks along (N)."""
    half: Float
    """The solid's half sizes (3,)."""
    pixel: Float
    """Metres that a pixel covers (N): detail finer than that must fade, or it flickers."""


def about_y(angle: float) -> Float:
    """Rotation (3, 3) that turns z towards x by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def screen_box(
    solid: Solid, camera: Camera, height: int, width: int
) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, bottom, left, right), half open, outside which it cannot be seen."""
    if solid.kind == "plane":
        return 0, height, 0, width
    corners = solid.centre + (_CORNERS * solid.extent()) @ solid.axes.T
    seen = (corners - camera.position) @ camera.axes
    points = [seen[seen[:, 2] >= NEAR]]
    for i, j in _EDGES:
        a, b = seen[i], seen[j]
        if (a[2] < NEAR) != (b[2] < NEAR):
            points.append((a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))[None])
    cloud = np.concatenate(points)
    if not len(cloud):
        return None
    k = camera.intrinsics
    u = cloud[:, 0] / cloud[:, 2] * k.fx + k.cx
    v = cloud[:, 1] / cloud[:, 2] * k.fy + k.cy
    left, right = np.clip([np.floor(u.min()), np.ceil(u.max()) + 1], 0, width).astype(int)
    top, bottom = np.clip([np.floor(v.min()), np.ceil(v.max()) + 1], 0, height).astype(int)
    return (top, bottom, left, right) if top < bottom and left < right else None


def hit(solid: Solid, origin: Float, direction: Float) -> Float:
    """First t > 0 at which rays meet a solid from outside; infinity where they do not.

    Args:
        origin: (3,) for all rays, or (3, ...) a ray each.
        direction: (3, ...), or (3,) with an origin a ray each.
    """
    a = solid.axes
    shift = [origin[i] - solid.centre[i] for i in range(3)]
    o = [shift[0] * a[0, i] + shift[1] * a[1, i] + shift[2] * a[2, i] for i in range(3)]
    d = [direction[0] * a[0, i] + direction[1] * a[1, i] + direction[2] * a[2, i] for i in range(3)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if solid.kind == "box":
            return _hit_box(o, d, solid.half)
        if solid.kind == "ellipsoid":
            return _hit_ellipsoid(o, d, solid.half)
        if solid.kind == "cone":
            return _hit_cone(o, d, solid.half)
        if solid.kind == "hull":
            return _hit_hull(o, d, solid)
        t = -o[1] / d[1]
        return np.where(t > 0, t, np.float32(np.inf)).astype(np.float32, copy=False)


def _hit_box(o: list[Float], d: list[Float], half: Float) -> Float:
    enter = leave = None
    for i in range(3):
        inverse = 1 / d[i]
        one, two = (-half[i] - o[i]) * inverse, (half[i] - o[i]) * inverse
        low, high = np.minimum(one, two), np.maximum(one, two)
        enter = low if enter is None else np.maximum(enter, low)
        leave = high if leave is None else np.minimum(leave, high)
    assert enter is not None
    assert leave is not None
    return np.where((enter <= leave) & (enter > 0), enter, np.float32(np.inf))


def _hit_hull(o: list[Float], d: list[Float], solid: Solid) -> Float:
    assert solid.sides is not None
    enter: Float = np.zeros(1, np.float32)
    leave: Float = np.full(1, np.inf, np.float32)
    for a, b, c, distance in solid.sides:
        along = a * d[0] + b * d[1] + c * d[2]
        t = (distance - (a * o[0] + b * o[1] + c * o[2])) / along
        enter = np.where(along < 0, np.maximum(enter, t), enter)
        # A ray along a plane (0) and outside it gives t = -inf, which leaves before it enters.
        leave = np.where(along >= 0, np.minimum(leave, t), leave)
    return np.where((enter <= leave) & (enter > 0), enter, np.float32(np.inf)).astype(
        np.float32, copy=False
    )


def _hit_ellipsoid(o: list[Float], d: list[Float], half: Float) -> Float:
    p = [o[i] / half[i] for i in range(3)]
    q = [d[i] / half[i] for i in range(3)]
    a = q[0] * q[0] + q[1] * q[1] + q[2] * q[2]
    b = p[0] * q[0] + p[1] * q[1] + p[2] * q[2]
    c = p[0] * p[0] + p[1] * p[1] + p[2] * p[2] - 1
    t = (-b - np.sqrt(b * b - a * c)) / a
    return np.where(t > 0, t, np.float32(np.inf))


def _hit_cone(o: list[Float], d: list[Float], half: Float) -> Float:
    bottom, tall, top = half
    slope = (top - bottom) / (2 * tall)
    radius = (top + bottom) / 2 + slope * o[1]
    widening = slope * d[1]
    a = d[0] * d[0] + d[2] * d[2] - widening * widening
    b = o[0] * d[0] + o[2] * d[2] - radius * widening
    c = o[0] * o[0] + o[2] * o[2] - radius * radius
    root = np.sqrt(b * b - a * c)
    best: Float = np.full(1, np.inf, np.float32)
    for t in ((-b - root) / a, (-b + root) / a):
        on = (t > 0) & (np.abs(o[1] + t * d[1]) <= tall) & (radius + t * widening >= 0)
        best = np.where(on, np.minimum(best, t), best)
    for side, r in ((-tall, bottom), (tall, top)):
        t = (side - o[1]) / d[1]
        x, z = o[0] + t * d[0], o[2] + t * d[2]
        best = np.where((t > 0) & (x * x + z * z <= r * r), np.minimum(best, t), best)
    return np.asarray(best, np.float32)


def normals(solid: Solid, p: Float) -> tuple[Float, NDArray[np.int8]]:
    """Outward normals (3, N) and faces (N) at surface points `p` (3, N), all in own axes."""
    if solid.kind == "plane":
        up = np.zeros_like(p)
        up[1] = 1
        return up, np.ones(p.shape[1], np.int8)
    if solid.kind == "box":
        face = np.argmax(np.abs(p) / solid.half[:, None], axis=0).astype(np.int8)
        out = np.zeros_like(p)
        at = np.arange(p.shape[1])
        out[face, at] = np.sign(p[face, at])
        return out, face
    if solid.kind == "hull":
        assert solid.sides is not None
        side = np.argmax(solid.sides[:, :3] @ p - solid.sides[:, 3:], axis=0)
        out = np.ascontiguousarray(solid.sides[side, :3].T)
        return out, np.argmax(np.abs(solid.sides[:, :3]), axis=1).astype(np.int8)[side]
    if solid.kind == "ellipsoid":
        out = p / (solid.half * solid.half)[:, None]
        out /= np.sqrt((out * out).sum(axis=0)) + np.float32(1e-12)
        return out, np.full(p.shape[1], 2, np.int8)
    bottom, tall, top = solid.half
    out = np.stack([p[0], np.zeros_like(p[1]), p[2]])
    out /= np.sqrt((out * out).sum(axis=0)) + np.float32(1e-12)
    out[1] = (bottom - top) / (2 * tall)
    out /= np.sqrt((out * out).sum(axis=0))
    radius = (top + bottom) / 2 + (top - bottom) / (2 * tall) * p[1]
    inside = np.hypot(p[0], p[2]) < np.abs(radius) * 0.995
    cap = inside & (np.abs(np.abs(p[1]) - tall) < 0.01 * tall + np.float32(1e-3))
    out[:, cap] = 0
    out[1, cap] = np.sign(p[1, cap])
    return out, np.where(cap, 1, 2).astype(np.int8)
