"""Streets: a straight road that ends at a junction 70 m ahead, seen from a car's roof."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from symbio.sample import ade, panels, people, signals, streetside, vehicles
from symbio.sample import materials as m
from symbio.sample.geometry import Camera, Intrinsics, Solid
from symbio.sample.materials import hsv
from symbio.sample.solids import placed, plane
from symbio.sample.trace import Air, Lens, Light, Rendered, Scene, render

CAMERA_HEIGHT_M = 1.65
"""Height of KITTI's cameras above the road."""

_KERB_M = 0.14
_LAWN_M = 0.1
_END_M = 66.0


@dataclass(slots=True)
class Street:
    """The road's edges (x, metres; the camera drives at x = 0) and all that stands there."""

    left: float
    right: float
    walk: tuple[float, float]
    """Width of the left and the right pavement."""
    solids: list[Solid] = field(default_factory=list)

    def kerb(self, side: int) -> float:
        """x of the kerb at the left (-1) or right (1)."""
        return self.right if side > 0 else self.left

    def front(self, side: int) -> float:
        """x where the pavement ends and the plots begin."""
        return self.kerb(side) + side * self.walk[side > 0]


def render_street(
    rng: np.random.Generator, height: int, width: int, intrinsics: Intrinsics
) -> Rendered:
    """Render one street with the camera `intrinsics`, which belong to this height and width.

    The scene does not depend on the size: the same `rng` shows the same street at any size.
    """
    street, light, air = build_street(rng)
    pitch, yaw = math.radians(rng.uniform(-0.3, 1.2)), math.radians(rng.normal(0, 1.3))
    camera = Camera.looking(
        (0.0, CAMERA_HEIGHT_M, 0.0), yaw, pitch, math.radians(rng.normal(0, 0.3)), intrinsics
    )
    lens = Lens(
        rng.uniform(0.5, 0.7),
        rng.uniform(1.0, 2.0),
        rng.uniform(0.05, 0.15),
        rng.uniform(0.95, 1.08),
    )
    return render(Scene(street.solids, light, air), camera, lens, rng, (height, width))


def build_street(rng: np.random.Generator) -> tuple[Street, Light, Air]:
    """Road, both sides, traffic, and the sun behind the camera."""
    street = Street(
        -rng.uniform(5.2, 6.2),
        rng.uniform(2.4, 4.6),
        (rng.uniform(2.4, 3.2), rng.uniform(2.2, 3.2)),
    )
    _ground(rng, street)
    for side in (-1, 1):
        _plots(rng, street, side)
        _kerbside(rng, street, side)
    _traffic(rng, street)
    _junction(rng, street)
    azimuth, elevation = math.radians(rng.uniform(-65, 65)), math.radians(rng.uniform(38, 58))
    sun = np.array(
        [
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
            -math.cos(azimuth) * math.cos(elevation),
        ],
        np.float32,
    )
    bright = np.float32(rng.uniform(0.62, 0.74))
    light = Light(
        sun,
        True,
        np.array([0.54, 0.57, 0.63], np.float32),
        np.array([1.0, 0.95, 0.86], np.float32) * bright,
        soft=0.8,
    )
    air = Air(
        hsv(rng.uniform(208, 216), rng.uniform(0.4, 0.55), rng.uniform(0.86, 0.95)),
        hsv(210, rng.uniform(0.08, 0.14), 0.95),
        rng.uniform(110, 190),
        rng.uniform(0.2, 0.75),
        ade.SKY,
    )
    return street, light, air


def _ground(rng: np.random.Generator, street: Street) -> None:
    asphalt = hsv(rng.uniform(225, 245), rng.uniform(0.06, 0.1), rng.uniform(0.4, 0.47))
    middle = street.left + 3.4 if street.left < -5.4 else -1.75
    road = panels.road(
        asphalt, [(middle, float(rng.uniform(0, 9)))], [street.left + 0.35, street.right - 0.35]
    )
    tone = hsv(rng.uniform(28, 38), rng.uniform(0.16, 0.22), rng.uniform(0.7, 0.78))
    slab = streetside.kerb_colour(m.slabs(tone, rng.uniform(0.6, 0.9)), hsv(35, 0.06, 0.66))
    lawn = m.grass(hsv(rng.uniform(86, 98), 0.66, 0.56), hsv(66, 0.55, 0.66))
    street.solids.append(plane(ade.ROAD, road, (0, 0, 0), (0, 1, 0)))
    for side in (-1, 1):
        front = street.front(side)
        street.solids.append(
            streetside.ground_box(
                ade.SIDEWALK, slab, street.kerb(side), front, _KERB_M, -5, _END_M - 6
            )
        )
        street.solids.append(
            streetside.ground_box(ade.GRASS, lawn, front, side * 150, _LAWN_M, -5, _END_M - 6)
        )
    street.solids.append(
        streetside.ground_box(ade.SIDEWALK, slab, -150, 150, _KERB_M, _END_M, _END_M + 2.5)
    )
    street.solids.append(
        streetside.ground_box(ade.GRASS, lawn, -150, 150, _LAWN_M, _END_M + 2.5, 150)
    )


def _plots(rng: np.random.Generator, street: Street, side: int) -> None:
    """Plots one after the other: houses, walls, fences, hedges, each behind some lawn."""
    z, last = rng.uniform(1.0, 4.0), ""
    kinds = ("house", "wall", "fence", "hedge", "park")
    while z < _END_M - 12:
        shares = np.array([0.42, 0.17, 0.17, 0.13, 0.11])
        shares[[kind == last and kind != "house" for kind in kinds]] = 0
        kind = kinds[int(rng.choice(5, p=shares / shares.sum()))]
        long = rng.uniform(9, 14) if kind != "park" else rng.uniform(6, 9)
        _plot(rng, street, side, kind, z + long / 2, long)
        z, last = z + long + rng.uniform(0.0, 1.2), kind


def _plot(
    rng: np.random.Generator, street: Street, side: int, kind: str, z: float, long: float
) -> None:
    front = street.front(side)
    if kind == "house":
        back = rng.uniform(1.6, 5.0)
        parts = streetside.house(rng, long, rng.uniform(7, 9), rng.uniform(5.8, 9.0))
        street.solids += streetside.facing(parts, side, front + side * back, z)
        if back > 4.2:
            street.solids += placed(
                streetside.tree(rng, far=z > 30),
                0.0,
                front + side * 1.7,
                z + rng.uniform(-0.3, 0.3) * long,
            )
        return
    line = {
        "wall": streetside.brick_wall,
        "fence": streetside.fence,
        "hedge": streetside.hedge,
    }.get(kind)
    setback = rng.uniform(0.8, 2.4)
    if line is not None:
        street.solids += streetside.facing(
            line(rng, long), side, front + side * setback, z, _LAWN_M
        )
    for place in np.arange(-long / 2 + 2.5, long / 2, 5.0):
        tree = streetside.tree(rng, far=z > 25)
        away = rng.uniform(2.5, 5.0) + (setback if line is not None else 0)
        street.solids += placed(
            tree, rng.uniform(0, 6), front + side * away, z + place + rng.uniform(-0.8, 0.8)
        )
    # Something always closes the view beyond a low boundary.
    parts = streetside.house(rng, long, 8.0, rng.uniform(5.0, 7.5))
    street.solids += streetside.facing(parts, side, front + side * rng.uniform(13, 18), z)


def _kerbside(rng: np.random.Generator, street: Street, side: int) -> None:
    """Lamps, signs, lights, bicycles and people on one pavement."""
    kerb = street.kerb(side)
    near = kerb + side * 0.5
    first = rng.uniform(8, 16)
    for z in np.arange(first, _END_M - 8, rng.uniform(17, 24)):
        street.solids += streetside.street_lamp(near, float(z), -side * 1.6)
    spots = [float(z) for z in rng.permutation(np.arange(7.0, 25.0, 2.6))]
    if rng.uniform() < 0.5:
        street.solids += signals.plate(rng, (near, spots.pop() + 0.9))
    if rng.uniform() < 0.3:
        street.solids += signals.signal(
            rng, (near, max(spots.pop(), 9.0) + 0.9), -side * rng.uniform(2.4, 3.4)
        )
    middle = kerb + side * street.walk[side > 0] / 2
    if rng.uniform() < 0.38:
        z = spots.pop()
        for i in range(int(rng.integers(2, 4))):
            turn = math.pi / 2 + rng.normal(0, 0.12)
            street.solids += placed(
                vehicles.bicycle(rng), turn, middle + side * 0.25, z + i * 0.75, _KERB_M
            )
    for _ in range(int(rng.integers(0, 3))):
        walker = people.person(rng, rng.uniform(0.1, 0.28))
        yaw = rng.choice([0.0, math.pi]) + rng.normal(0, 0.3)
        street.solids += placed(
            walker, yaw, middle + side * rng.uniform(-0.4, 0.5), spots.pop() + 0.4, _KERB_M
        )


def _traffic(rng: np.random.Generator, street: Street) -> None:
    """Parked cars at the kerbs, one vehicle ahead, oncoming ones."""
    if street.right > 3.7:
        _parked(rng, street, street.right - 1.0)
    elif rng.uniform() < 0.3:
        street.solids += placed(vehicles.car(rng), 0.0, street.right - 0.75, rng.uniform(30, 45))
    ahead = rng.uniform(11, 26)
    kind = rng.uniform()
    if kind < 0.65:
        build = vehicles.bus if kind < 0.17 else vehicles.truck if kind < 0.34 else vehicles.car
        street.solids += placed(build(rng), rng.normal(0, 0.02), 0.2, ahead)
    x = (street.left + min(street.left + 3.4, -1.75)) / 2 - 0.2
    z = rng.uniform(9, 18)
    while z < 60:
        kind = rng.uniform()
        build = vehicles.bus if kind < 0.17 else vehicles.truck if kind < 0.34 else vehicles.car
        street.solids += placed(
            build(rng),
            math.pi + rng.normal(0, 0.03),
            x,
            z + (0.0 if build is vehicles.car else 3.0),
        )
        z += rng.uniform(13, 26)


def _parked(rng: np.random.Generator, street: Street, x: float) -> None:
    z = rng.uniform(6.5, 10)
    while z < 50:
        if rng.uniform() < 0.6:
            street.solids += placed(
                vehicles.car(rng), rng.normal(0, 0.03), x + rng.normal(0, 0.05), z
            )
        z += rng.uniform(5.4, 6.6)


def _junction(rng: np.random.Generator, street: Street) -> None:
    """What closes the street: a row of houses, and trees in front of some."""
    x = -100.0
    while x < 100:
        long = rng.uniform(11, 18)
        parts = streetside.house(rng, long, 9.0, rng.uniform(6, 11))
        street.solids += placed(parts, -math.pi / 2, x + long / 2, _END_M + 4.5)
        if abs(x) < 30 and rng.uniform() < 0.6:
            street.solids += placed(streetside.tree(rng, far=True), 0.0, x + long / 2, _END_M + 3.4)
        x += long
