"""Short constructors for solids, and moving groups of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.sample.geometry import Colour, Float, Solid, about_y


def box(
    label: int,
    colour: Colour,
    low: Sequence[float],
    high: Sequence[float],
    glow: float = 0.0,
    casts: bool = True,
) -> Solid:
    """A box between two corners."""
    a, b = _vector(low), _vector(high)
    centre, half = _vector((a + b) / 2), _vector((b - a) / 2)
    return Solid("box", centre, half, label, colour, glow=glow, casts=casts)


def ball(
    label: int,
    colour: Colour,
    centre: Sequence[float],
    radii: Sequence[float] | NDArray[Any],
    fuzz: float = 0.0,
) -> Solid:
    """An ellipsoid."""
    return Solid("ellipsoid", _vector(centre), _vector(radii), label, colour, fuzz=fuzz)


def post(
    label: int,
    colour: Colour,
    foot: Sequence[float],
    tall: float,
    radius: float,
    top: float | None = None,
    glow: float = 0.0,
) -> Solid:
    """An upright cylinder, or a cone that narrows (or widens) to radius `top`."""
    half = np.array([radius, tall / 2, radius if top is None else top], np.float32)
    centre = _vector(foot) + np.array([0, tall / 2, 0], np.float32)
    return Solid("cone", centre, half, label, colour, glow=glow)


def rod(
    label: int,
    colour: Colour,
    start: Sequence[float],
    end: Sequence[float],
    radius: float,
    tip: float | None = None,
) -> Solid:
    """A cylinder (or cone) between two points in any direction."""
    a, b = _vector(start), _vector(end)
    long = float(np.linalg.norm(b - a))
    y = (b - a) / long
    x = np.cross(y, [0.0, 0.0, 1.0] if abs(y[2]) < 0.9 else [1.0, 0.0, 0.0])
    x /= np.linalg.norm(x)
    axes = np.stack([x, y, np.cross(x, y)], axis=1).astype(np.float32)
    half = np.array([radius, long / 2, radius if tip is None else tip], np.float32)
    return Solid("cone", _vector((a + b) / 2), half, label, colour, axes=axes)


def hull(
    label: int,
    colour: Colour,
    profile: Sequence[tuple[float, float]],
    half_width: float,
    lean: float = 0.0,
) -> Solid:
    """A convex (z, y) outline drawn out along x to both sides.

    Args:
        profile: corners in the order that goes from +z over +y to -z; convex.
        half_width: half the width (metres) at the outline's lowest point.
        lean: how far (metres a metre) the side faces lean inwards with height.
    """
    at = np.array(profile, np.float64)
    low, high = at.min(axis=0), at.max(axis=0)
    middle = (low + high) / 2
    at = at - middle
    ahead = np.roll(at, -1, axis=0) - at
    outward = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    sides = [(0.0, n[1], n[0], float(n @ p)) for n, p in zip(outward, at, strict=True)]
    steep = float(np.hypot(1, lean))
    bottom = low[1] - middle[1]
    for side in (-1.0, 1.0):
        sides.append((side / steep, lean / steep, 0.0, (half_width + lean * bottom) / steep))
    half = np.array([half_width, *((high - low) / 2)[::-1]], np.float32)
    centre = np.array([0.0, middle[1], middle[0]], np.float32)
    return Solid("hull", centre, half, label, colour, sides=np.array(sides, np.float32))


def plane(
    label: int, colour: Colour, point: Sequence[float], normal: Sequence[float], glow: float = 0.0
) -> Solid:
    """An endless plane; own x is level and own z upright where the plane is a wall."""
    y = _vector(normal)
    if abs(y[1]) > 0.5:
        axes = np.diag([1.0, float(y[1]), 1.0])
    else:
        x = np.cross([0.0, 1.0, 0.0], y)
        axes = np.stack([x, y, [0.0, 1.0, 0.0]], axis=1)
    return Solid(
        "plane",
        _vector(point),
        np.zeros(3, np.float32),
        label,
        colour,
        axes=axes.astype(np.float32),
        glow=glow,
        casts=False,
    )


def placed(solids: Iterable[Solid], yaw: float, x: float, z: float, y: float = 0.0) -> list[Solid]:
    """Turn a group about its own upright axis (z towards x by `yaw` radians), then shift it."""
    axes, offset = about_y(yaw), np.array([x, y, z], np.float32)
    return [solid.moved(axes, offset) for solid in solids]


def _vector(values: Sequence[float] | NDArray[Any]) -> Float:
    return np.array(values, np.float32)
