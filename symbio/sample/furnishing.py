"""Which furniture goes where: rows along the walls, a group in the middle, loose pieces."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symbio.sample import furniture, people
from symbio.sample.floorplan import Room
from symbio.sample.geometry import Solid
from symbio.sample.solids import placed

SCENES = ("bedroom", "living_room", "dining_room")

Build = Callable[[], list[Solid]]


def furnish(rng: np.random.Generator, room: Room, scene: str) -> None:
    """Fill an empty room as one of `SCENES`, and put a person and loose pieces where space is."""
    fill = {"bedroom": _bedroom, "living_room": _living_room, "dining_room": _dining_room}
    fill[scene](rng, room)
    _loose(rng, room)


def _fill(
    rng: np.random.Generator,
    room: Room,
    wall: str,
    start: float,
    end: float,
    items: list[tuple[float, Build]],
) -> None:
    """Stand items (width, builder) side by side along a wall; what does not fit is left out."""
    fitting: list[tuple[float, Build]] = []
    room_left = end - start
    for item in items:
        if item[0] + 0.06 <= room_left:
            fitting.append(item)
            room_left -= item[0] + 0.06
    gaps = rng.dirichlet(np.ones(len(fitting) + 1)) * room_left
    at = start
    for gap, (wide, build) in zip(gaps, fitting, strict=False):
        at += gap + 0.03
        room.along(wall, at + wide / 2, build())
        at += wide + 0.03


def _shuffled(
    rng: np.random.Generator, items: list[tuple[float, Build]]
) -> list[tuple[float, Build]]:
    return [items[i] for i in rng.permutation(len(items))]


def _window(rng: np.random.Generator) -> tuple[float, Build]:
    wide = float(rng.uniform(1.1, 1.6))
    curtains = bool(rng.uniform() < 0.75)
    return wide + (0.8 if curtains else 0.1), lambda: furniture.window(rng, wide, curtains)


def _cabinet(rng: np.random.Generator) -> tuple[float, Build]:
    wide, tall = float(rng.uniform(1.0, 1.4)), float(rng.uniform(0.65, 0.95))

    def build() -> list[Solid]:
        parts = furniture.cabinet(rng, wide, tall, 0.45)
        if rng.uniform() < 0.72:
            return parts + furniture.tv(rng, min(1.15, wide), tall)
        return parts + furniture.painting(rng, rng.uniform(0.7, 1.0), rng.uniform(0.55, 0.75), 1.6)

    return wide + 0.06, build


def _bookcase(rng: np.random.Generator) -> tuple[float, Build]:
    wide = float(rng.uniform(0.9, 1.4))
    return wide + 0.06, lambda: furniture.bookcase(rng, wide, rng.uniform(1.7, 2.1))


def _door(rng: np.random.Generator) -> tuple[float, Build]:
    return 1.06, lambda: furniture.door(rng, 0.85)


def _painting(rng: np.random.Generator) -> tuple[float, Build]:
    wide = float(rng.uniform(0.7, 1.1))
    return wide, lambda: furniture.painting(
        rng, wide, wide * rng.uniform(0.65, 0.9), rng.uniform(1.5, 1.65)
    )


def _standing(
    build: Callable[[np.random.Generator], list[Solid]], rng: np.random.Generator
) -> tuple[float, Build]:
    return 0.8, lambda: placed(build(rng), 0.0, 0.0, 0.46)


def _bedroom(rng: np.random.Generator, room: Room) -> None:
    wide = float(rng.uniform(1.35, 1.7))

    def bed() -> list[Solid]:
        art = (
            furniture.painting(rng, rng.uniform(0.8, 1.2), rng.uniform(0.5, 0.7), 1.65)
            if rng.uniform() < 0.6
            else []
        )
        return furniture.bed(rng, wide) + art

    beside = [_standing(furniture.lamp, rng), _standing(furniture.plant, rng), _window(rng)]
    row = _shuffled(rng, [(wide + 0.1, bed), *_shuffled(rng, beside)[:2]])
    row.sort(key=lambda item: item[0] < 1.0)
    _fill(rng, room, "far", room.left, room.right, _shuffled(rng, row[:1] + row[1:3]))
    _sides(rng, room, [_cabinet(rng), _bookcase(rng), _door(rng), _window(rng)])


def _living_room(rng: np.random.Generator, room: Room) -> None:
    wide = float(rng.uniform(1.7, 2.2))

    def sofa() -> list[Solid]:
        art = (
            furniture.painting(rng, rng.uniform(0.9, 1.4), rng.uniform(0.55, 0.75), 1.6)
            if rng.uniform() < 0.7
            else []
        )
        return furniture.sofa(rng, wide) + art

    beside = [_standing(furniture.lamp, rng), _standing(furniture.plant, rng), _bookcase(rng)]
    row = [(wide + 0.1, sofa), *_shuffled(rng, beside)[:2]]
    _fill(rng, room, "far", room.left, room.right, _shuffled(rng, row))
    _sides(rng, room, [_cabinet(rng), _window(rng), _door(rng), _bookcase(rng)])
    if rng.uniform() < 0.6:
        room.add(
            placed(
                furniture.rug(rng, rng.uniform(1.7, 2.3), rng.uniform(1.1, 1.5)),
                rng.normal(0, 0.05),
                (room.left + room.right) / 2,
                room.far - 1.9,
            )
        )
    if rng.uniform() < 0.55:
        table = furniture.table(rng, rng.uniform(0.9, 1.2), 0.55, 0.42)
        room.add(
            placed(
                table,
                rng.normal(0, 0.06),
                (room.left + room.right) / 2 + rng.uniform(-0.2, 0.2),
                room.far - rng.uniform(1.65, 1.9),
            )
        )


def _dining_room(rng: np.random.Generator, room: Room) -> None:
    row = _shuffled(
        rng,
        [_cabinet(rng), _window(rng), _door(rng), _painting(rng), _standing(furniture.plant, rng)],
    )
    _fill(rng, room, "far", room.left, room.right, row[:4])
    _sides(
        rng,
        room,
        [_bookcase(rng), _door(rng), _painting(rng), _window(rng), _standing(furniture.lamp, rng)],
    )
    x, z = (room.left + room.right) / 2 + rng.uniform(-0.4, 0.4), room.far - rng.uniform(1.55, 1.8)
    wide, deep, turn = rng.uniform(1.2, 1.6), rng.uniform(0.75, 0.9), rng.normal(0, 0.1)
    if rng.uniform() < 0.45:
        room.add(placed(furniture.rug(rng, wide + 1.0, deep + 0.9), turn, x, z))
    group = furniture.table(rng, wide, deep, rng.uniform(0.72, 0.77))
    seats = [
        (-wide / 4, -deep / 2 - 0.12, 0.0),
        (wide / 4, -deep / 2 - 0.12, 0.0),
        (-wide / 2 - 0.15, 0.0, math.pi / 2),
        (wide / 2 + 0.15, 0.0, -math.pi / 2),
        (0.0, deep / 2 + 0.2, math.pi),
    ]
    for i in rng.permutation(len(seats))[: rng.integers(2, 5)]:
        dx, dz, yaw = seats[i]
        group += placed(furniture.chair(rng), yaw + rng.normal(0, 0.15), dx, dz)
    room.add(placed(group, turn, x, z))


def _sides(rng: np.random.Generator, room: Room, items: list[tuple[float, Build]]) -> None:
    """Share items between the side walls, as far as the far wall's row leaves them free."""
    mixed = _shuffled(rng, items)
    near, far = 1.5, room.far - (1.0 if len(room.taken) else 0.1)
    for wall, share in (("left", mixed[::2]), ("right", mixed[1::2])):
        reach = far
        while reach > near + 0.4 and not _clear(room, wall, reach):
            reach -= 0.1
        _fill(rng, room, wall, near, reach, share)


def _clear(room: Room, wall: str, reach: float) -> bool:
    """Whether the strip along a side wall is free up to z = `reach`."""
    low, high = (room.left, room.left + 0.5) if wall == "left" else (room.right - 0.5, room.right)
    return all(right < low or left > high or near > reach for left, right, near, _ in room.taken)


def _loose(rng: np.random.Generator, room: Room) -> None:
    """A person, a chair, a plant or a lamp where there is space on the floor."""
    wanted: list[tuple[float, float, Callable[[np.random.Generator], list[Solid]]]] = [
        (0.45, 0.32, people.person),
        (0.4, 0.36, furniture.chair),
        (0.2, 0.3, furniture.plant),
        (0.2, 0.3, furniture.lamp),
    ]
    for share, radius, build in wanted:
        if rng.uniform() > share:
            continue
        for _ in range(12):
            z = rng.uniform(2.1, room.far - 0.6)
            x = rng.uniform(max(room.left + 0.45, -0.5 * z), min(room.right - 0.45, 0.5 * z))
            if room.free(x, z, radius):
                yaw = rng.uniform(-0.9, 0.9) + math.pi
                room.add(placed(build(rng), yaw, x, z))
                break
