"""A standing or walking person, for rooms and streets."""

from __future__ import annotations

import numpy as np

from symbio.sample import ade
from symbio.sample import materials as m
from symbio.sample.geometry import Solid
from symbio.sample.materials import hsv
from symbio.sample.solids import ball, box, rod


def person(rng: np.random.Generator, stride: float = 0.1) -> list[Solid]:
    """A person at the origin facing z, 1.6 to 1.85 m tall; `stride` is half a step in metres.

    The shirt is chequered lime and the trousers denim: no other class of either world is lime.
    """
    tall = rng.uniform(1.6, 1.85)
    k = tall / 1.75
    skin = m.plain(hsv(rng.uniform(18, 28), rng.uniform(0.35, 0.55), rng.uniform(0.55, 0.95)), 0.03)
    hair = m.plain(hsv(rng.uniform(15, 40), 0.5, rng.uniform(0.1, 0.4)), 0.3, 0.01)
    hue = rng.uniform(66, 80)
    shirt = m.checks(hsv(hue, 0.85, 0.9), hsv(hue - 8, 0.7, 0.62), 0.11)
    denim = m.plain(hsv(rng.uniform(218, 230), 0.5, rng.uniform(0.24, 0.34)), 0.2, 0.008)
    shoe = m.plain(hsv(20, 0.3, 0.15), 0.05)
    label = ade.PERSON
    parts = [
        ball(label, skin, (0, 1.63 * k, 0), (0.092 * k, 0.125 * k, 0.105 * k)),
        ball(label, hair, (0, 1.675 * k, -0.022), (0.1 * k, 0.105 * k, 0.105 * k)),
        rod(label, skin, (0, 1.42 * k, 0), (0, 1.55 * k, 0), 0.05 * k),
        rod(label, shirt, (0, 0.95 * k, 0), (0, 1.38 * k, 0), 0.155 * k, 0.19 * k),
        ball(label, shirt, (0, 1.38 * k, 0), (0.2 * k, 0.09 * k, 0.12 * k)),
        ball(label, denim, (0, 0.93 * k, 0), (0.17 * k, 0.13 * k, 0.13 * k)),
    ]
    for side, step in ((-1, stride), (1, -stride)):
        x = side * 0.095 * k
        knee = (x * 1.05, 0.48 * k, step * 0.6 + 0.03)
        foot = (x * 1.05, 0.08 * k, step * 1.25)
        hand = (side * 0.27 * k, 0.86 * k, -step * 1.1 + 0.06)
        elbow = (side * 0.265 * k, 1.1 * k, -step * 0.6 - 0.02)
        parts += [
            rod(label, denim, (x, 0.92 * k, 0), knee, 0.1 * k, 0.075 * k),
            rod(label, denim, knee, foot, 0.075 * k, 0.06 * k),
            box(
                label,
                shoe,
                (foot[0] - 0.05, 0, foot[2] - 0.09),
                (foot[0] + 0.05, 0.09 * k, foot[2] + 0.17),
            ),
            rod(label, shirt, (side * 0.19 * k, 1.37 * k, 0), elbow, 0.065 * k, 0.052 * k),
            rod(label, skin, elbow, hand, 0.048 * k, 0.035 * k),
            ball(label, skin, hand, (0.045, 0.065, 0.045)),
        ]
    return parts
