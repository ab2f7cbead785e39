"""A room's walls and what stands on its floor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from symbio.sample import ade
from symbio.sample.geometry import Solid
from symbio.sample.solids import placed


@dataclass(slots=True)
class Room:
    """A box of a room: the camera stands at x = z = 0, the far wall at z = `far`."""

    left: float
    right: float
    far: float
    tall: float
    solids: list[Solid] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Floor that is occupied: left, right, near, far (metres)."""

    def add(self, solids: list[Solid]) -> None:
        """Add solids and remember the floor under them."""
        self.solids += solids
        self.taken += [footprint(s) for s in solids if s.label not in (ade.RUG, ade.PAINTING)]

    def free(self, x: float, z: float, radius: float) -> bool:
        """Whether a round thing of this radius can stand at (x, z)."""
        return all(
            x + radius < left or x - radius > right or z + radius < near or z - radius > far
            for left, right, near, far in self.taken
        )

    def along(self, wall: str, place: float, solids: list[Solid]) -> None:
        """Stand a wall-frame group at `place`: x on the far wall, z on a side wall."""
        if wall == "far":
            self.add(placed(solids, math.pi, place, self.far))
        elif wall == "left":
            self.add(placed(solids, math.pi / 2, self.left, place))
        else:
            self.add(placed(solids, -math.pi / 2, self.right, place))


def footprint(solid: Solid) -> tuple[float, float, float, float]:
    """Floor rectangle (left, right, near, far) that a solid covers, metres."""
    reach = np.abs(solid.axes) @ solid.extent()
    x, z = float(solid.centre[0]), float(solid.centre[2])
    return x - float(reach[0]), x + float(reach[0]), z - float(reach[2]), z + float(reach[2])
