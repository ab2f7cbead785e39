"""Rooms: furnished at random within what a room is, seen by a Kinect at eye or chest height."""

from __future__ import annotations

import math

import numpy as np

from symbio.sample import ade
from symbio.sample import materials as m
from symbio.sample.floorplan import Room
from symbio.sample.furnishing import SCENES, furnish
from symbio.sample.geometry import Camera, Colour, Intrinsics
from symbio.sample.materials import hsv
from symbio.sample.solids import box, plane
from symbio.sample.trace import Lens, Light, Rendered, Scene, render

HEIGHT, WIDTH = 480, 640
NYU_INTRINSICS = Intrinsics(518.8579, 519.4696, 325.5824, 253.7362)
"""The Kinect's RGB camera in NYU-Depth-V2, at 480 x 640 pixels."""


def render_room(
    rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH, scene: str | None = None
) -> Rendered:
    """Render one room; the picture shows the same view at any size.

    Args:
        rng: decides everything.
        height: rows of the picture.
        width: columns of the picture.
        scene: one of `SCENES`; None draws one.
    """
    kind = scene or SCENES[int(rng.integers(len(SCENES)))]
    room, light = build_room(rng, kind)
    camera = room_camera(rng, room, NYU_INTRINSICS.scaled(height / HEIGHT, width / WIDTH))
    lens = Lens(
        rng.uniform(0.55, 0.8),
        rng.uniform(1.2, 2.6),
        rng.uniform(0.1, 0.25),
        rng.uniform(0.94, 1.1),
    )
    return render(Scene(room.solids, light), camera, lens, rng, (height, width))


def room_camera(rng: np.random.Generator, room: Room, k: Intrinsics) -> Camera:
    """A hand-held camera that looks into the room, slightly down."""
    middle = (room.left + room.right) / 2
    yaw = math.atan2(middle + rng.uniform(-0.7, 0.7), room.far)
    pitch = math.radians(rng.uniform(5, 11))
    roll = math.radians(rng.normal(0, 0.7))
    return Camera.looking((0.0, rng.uniform(1.3, 1.55), 0.0), yaw, pitch, roll, k)


def build_room(rng: np.random.Generator, kind: str) -> tuple[Room, Light]:
    """Walls, light and furniture of a room of a kind."""
    wide = rng.uniform(3.9, 5.0)
    left = -wide * rng.uniform(0.4, 0.6)
    room = Room(left, left + wide, rng.uniform(3.4, 6.0), rng.uniform(2.4, 2.7))
    _shell(rng, room)
    furnish(rng, room, kind)
    warm = rng.uniform(0.0, 1.0)
    key = np.array([1.0, 0.97 - 0.06 * warm, 0.92 - 0.14 * warm], np.float32) * np.float32(
        rng.uniform(0.5, 0.62)
    )
    ambient = np.array([0.72, 0.725, 0.74], np.float32) * np.float32(rng.uniform(0.94, 1.06))
    place = np.array(
        [
            (room.left + room.right) / 2 + rng.uniform(-0.8, 0.8),
            room.tall - 0.25,
            rng.uniform(1.4, 2.4),
        ],
        np.float32,
    )
    return room, Light(place, False, ambient, key, soft=1.6)


def _shell(rng: np.random.Generator, room: Room) -> None:
    hue, pale = rng.choice([38.0, 48.0, 205.0, 12.0, 28.0]), rng.uniform(0.05, 0.15)
    tone = hsv(hue, pale, rng.uniform(0.82, 0.9))
    papered = rng.uniform() < 0.3
    paper = (
        m.stripes(tone, tone * 0.93, rng.uniform(0.1, 0.24))
        if papered
        else m.plain(tone, 0.03, 0.05)
    )
    ceiling = m.plain(hsv(45, 0.02, 0.97), 0.015, 0.05)
    floor = _floor(rng)
    room.solids += [
        plane(ade.FLOOR, floor, (0, 0, 0), (0, 1, 0)),
        plane(ade.CEILING, ceiling, (0, room.tall, 0), (0, -1, 0), glow=0.3),
        plane(ade.WALL, paper, (0, 0, room.far), (0, 0, -1)),
        plane(ade.WALL, paper, (room.left, 0, 0), (1, 0, 0)),
        plane(ade.WALL, paper, (room.right, 0, 0), (-1, 0, 0)),
    ]
    board = m.plain(hsv(40, 0.05, 0.9), 0.02)
    near, deep = -0.5, 0.018
    room.solids += [
        box(ade.WALL, board, (room.left, 0, room.far - deep), (room.right, 0.09, room.far)),
        box(ade.WALL, board, (room.left, 0, near), (room.left + deep, 0.09, room.far)),
        box(ade.WALL, board, (room.right - deep, 0, near), (room.right, 0.09, room.far)),
    ]


def _floor(rng: np.random.Generator) -> Colour:
    choice = rng.uniform()
    if choice < 0.5:
        return m.planks(
            hsv(rng.uniform(24, 30), rng.uniform(0.5, 0.6), rng.uniform(0.56, 0.68)),
            rng.uniform(0.1, 0.16),
        )
    if choice < 0.75:
        tone = hsv(rng.uniform(24, 32), rng.uniform(0.3, 0.4), rng.uniform(0.56, 0.66))
        return m.tiles(tone, tone * 0.84, rng.uniform(0.3, 0.45), 0.012)
    return m.carpet(hsv(rng.uniform(24, 34), rng.uniform(0.28, 0.4), rng.uniform(0.5, 0.62)))
