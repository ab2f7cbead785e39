"""What stands beside streets: houses, walls, fences, hedges, trees and lamps."""

from __future__ import annotations

import numpy as np

from symbio.sample import ade, panels
from symbio.sample import materials as m
from symbio.sample.geometry import Colour, Float, Solid, Surface
from symbio.sample.materials import hsv
from symbio.sample.solids import ball, box, hull, placed, post, rod

_PLASTER = [(36, 0.38, 0.86), (28, 0.55, 0.8), (16, 0.45, 0.74), (44, 0.5, 0.82), (22, 0.25, 0.86)]


def house(rng: np.random.Generator, long: float, deep: float, tall: float) -> list[Solid]:
    """A plastered house in warm tones with a tiled roof: front at x = 0 looking to -x."""
    hue, saturation, value = _PLASTER[int(rng.integers(len(_PLASTER)))]
    rgb = hsv(
        hue + rng.uniform(-4, 4),
        saturation * rng.uniform(0.85, 1.15),
        value * rng.uniform(0.92, 1.05),
    )
    frame = hsv(40, 0.05, 0.93) if rng.uniform() < 0.7 else hsv(16, 0.6, 0.3)
    front = panels.facade(
        m.plain(rgb, 0.06, 0.12),
        frame,
        hsv(212, 0.35, 0.42),
        rng.uniform(2.2, 3.0),
        rng.uniform(2.7, 3.1),
        rng.uniform(0.42, 0.55),
    )
    tile = m.tiles(hsv(rng.uniform(8, 18), 0.6, 0.5), hsv(10, 0.6, 0.42), 0.4, 0.05, checks=False)
    parts = [box(ade.BUILDING, front, (0, 0, -long / 2), (deep, tall, long / 2))]
    if rng.uniform() < 0.65:
        rise, eaves = deep * rng.uniform(0.3, 0.42), 0.35
        roof = hull(
            ade.BUILDING,
            tile,
            [(deep + eaves, tall - 0.1), (deep / 2, tall + rise), (-eaves, tall - 0.1)],
            long / 2 + 0.25,
        )
        # The outline runs along z and is drawn out along x: a quarter turn lays the ridge along z.
        parts += [s.moved(_QUARTER, np.zeros(3, np.float32)) for s in [roof]]
        if rng.uniform() < 0.6:
            z = rng.uniform(-0.3, 0.3) * long
            parts.append(
                box(
                    ade.BUILDING,
                    m.brick(hsv(12, 0.5, 0.5), hsv(30, 0.1, 0.6)),
                    (deep / 2 - 0.4, tall, z - 0.35),
                    (deep / 2 + 0.4, tall + rise + 0.8, z + 0.35),
                )
            )
    else:
        parts.append(
            box(
                ade.BUILDING,
                m.plain(rgb * 0.7, 0.05),
                (-0.25, tall, -long / 2),
                (deep, tall + 0.35, long / 2),
            )
        )
    return parts


_QUARTER = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)


def brick_wall(rng: np.random.Generator, long: float) -> list[Solid]:
    """A red brick garden wall with a coping, along z, front at x = 0 looking to -x."""
    rgb, tall = (
        hsv(rng.uniform(2, 10), rng.uniform(0.62, 0.72), rng.uniform(0.5, 0.6)),
        rng.uniform(1.9, 2.5),
    )
    face = m.brick(rgb, hsv(30, 0.15, 0.72), 0.42, 0.16)
    return [
        box(ade.WALL, face, (0, 0, -long / 2), (0.3, tall, long / 2)),
        box(
            ade.WALL,
            m.plain(hsv(8, 0.4, 0.5), 0.06),
            (-0.06, tall, -long / 2),
            (0.36, tall + 0.1, long / 2),
        ),
    ]


def fence(rng: np.random.Generator, long: float) -> list[Solid]:
    """A honey-brown board fence with posts, along z, front at x = 0 looking to -x."""
    rgb, tall = (
        hsv(rng.uniform(32, 38), rng.uniform(0.68, 0.78), rng.uniform(0.5, 0.58)),
        rng.uniform(1.7, 2.1),
    )
    parts = [box(ade.FENCE, panels.boards(rgb, 0.22), (0, 0.06, -long / 2), (0.06, tall, long / 2))]
    wood = m.wood(rgb * 0.75, 0.15, upright=True)
    for z in np.arange(-long / 2 + 0.1, long / 2, 2.4):
        parts.append(box(ade.FENCE, wood, (-0.08, 0, z - 0.08), (0.04, tall + 0.15, z + 0.08)))
    return parts


def hedge(rng: np.random.Generator, long: float) -> list[Solid]:
    """A row of rounded, flowering bushes along z."""
    hue = rng.uniform(76, 88)
    green = m.leaves(hsv(hue, 0.8, 0.46), hsv(hue - 12, 0.75, 0.86), 0.09)
    step, parts = 1.15, []
    for z in np.arange(-long / 2 + 0.6, long / 2 - 0.3, step):
        tall = rng.uniform(0.75, 0.95)
        parts.append(
            ball(
                ade.PLANT,
                green,
                (rng.uniform(-0.1, 0.1) + 0.5, tall * 0.85, z),
                (0.75, tall, 0.95),
                fuzz=0.7,
            )
        )
    return parts


def tree(rng: np.random.Generator, far: bool = False) -> list[Solid]:
    """A broad tree at the origin, 5 to 8 m tall; `far` makes it of fewer parts."""
    tall = rng.uniform(5.0, 7.5)
    hue = rng.uniform(104, 128)
    green = m.leaves(hsv(hue, 0.7, 0.34), hsv(hue - 18, 0.62, 0.64), 0.1)
    bark = m.wood(hsv(24, 0.45, 0.3), 0.5, upright=True)
    clear, crown = tall * rng.uniform(0.3, 0.36), tall * 0.34
    parts = [post(ade.TREE, bark, (0, 0, 0), clear + crown * 0.6, 0.24, 0.14)]
    lumps = 4 if far else 8
    for i in range(lumps):
        angle = i * 2.4 + rng.uniform(-0.5, 0.5)
        out = crown * rng.uniform(0.25, 0.55)
        centre = (out * np.cos(angle), clear + crown * rng.uniform(0.5, 1.45), out * np.sin(angle))
        radius = crown * rng.uniform(0.5, 0.68) * (1.2 if far else 1.0)
        parts.append(ball(ade.TREE, green, centre, (radius, radius * 0.85, radius), fuzz=0.85))
    return parts


def street_lamp(x: float, z: float, reach: float) -> list[Solid]:
    """A tall mast at (x, z) with an arm of `reach` metres (signed) along x."""
    steel = m.plain(hsv(215, 0.16, 0.34), 0.04)
    return [
        post(ade.POLE, m.plain(hsv(215, 0.16, 0.3), 0.04), (x, 0, z), 0.9, 0.17, 0.16),
        post(ade.POLE, steel, (x, 0, z), 7.2, 0.13, 0.08),
        rod(ade.POLE, steel, (x, 7.1, z), (x + reach, 7.35, z), 0.06),
        box(
            ade.POLE,
            m.plain(hsv(50, 0.1, 0.9), 0.02),
            (x + reach - 0.35, 7.26, z - 0.14),
            (x + reach + 0.35, 7.42, z + 0.14),
        ),
    ]


def facing(solids: list[Solid], side: int, x: float, z: float, y: float = 0.0) -> list[Solid]:
    """Stand a group whose front looks to -x at the right (side 1) or, turned, at the left (-1)."""
    return placed(solids, 0.0 if side > 0 else np.pi, x, z, y)


def ground_box(
    label: int, colour: Colour, x0: float, x1: float, tall: float, z0: float, z1: float
) -> Solid:
    """A flat slab of ground between two x and two z that stands `tall` above the road."""
    left, right = sorted((x0, x1))
    return box(label, colour, (left, -0.3, z0), (right, tall, z1), casts=False)


def kerb_colour(slab: Colour, kerb: Float) -> Colour:
    """Pavement: slabs on top, a kerb stone on the sides and along the edge."""

    def colour(s: Surface) -> Float:
        out = slab(s)
        edge = (s.face != 1) | (np.abs(s.x) > s.half[0] - np.float32(0.16))
        out[edge] = kerb
        return out

    return colour
