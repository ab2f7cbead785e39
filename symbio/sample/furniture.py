"""What stands in rooms. Each builder returns solids in a frame of its own.

x runs along the wall (0 is the middle), y up from the floor, z away from the wall (0 is the wall),
metres. Every class keeps to a range of hues and a texture, with some variation inside it.
"""

from __future__ import annotations

import math

import numpy as np

from symbio.sample import ade, panels
from symbio.sample import materials as m
from symbio.sample.geometry import Solid
from symbio.sample.materials import hsv
from symbio.sample.solids import ball, box, placed, post, rod

_BRASS = hsv(45, 0.5, 0.85)
_DARK = hsv(25, 0.3, 0.16)


def bed(rng: np.random.Generator, wide: float) -> list[Solid]:
    """Blue quilt over a white mattress, a headboard at the wall, two pillows."""
    hue = rng.uniform(212, 236)
    quilt = m.quilt(hsv(hue, 0.68, 0.62), hsv(hue + 8, 0.35, 0.82), rng.uniform(0.18, 0.26))
    wooden = m.wood(hsv(hue - 5, 0.45, 0.36), 0.2)
    w, long = wide / 2, rng.uniform(1.9, 2.1)
    sheet = m.plain(hsv(hue, 0.22, 0.86), 0.04)
    parts = [
        box(ade.BED, wooden, (-w, 0, 0.0), (w, 1.0, 0.08)),
        box(ade.BED, wooden, (-w + 0.02, 0.08, 0.08), (w - 0.02, 0.3, long)),
        box(ade.BED, sheet, (-w + 0.03, 0.3, 0.08), (w - 0.03, 0.5, long - 0.03)),
        box(ade.BED, quilt, (-w - 0.015, 0.2, 0.72), (w + 0.015, 0.56, long + 0.015)),
    ]
    for side in (-1, 1):
        parts += placed(pillow(rng, 0.31), 0.0, side * w * 0.47, 0.36, 0.55)
    return parts


def pillow(rng: np.random.Generator, half: float) -> list[Solid]:
    """A plump pink pillow leaning back, centred at its own origin."""
    hue = rng.uniform(318, 338)
    colour = m.stripes(hsv(hue, 0.55, 0.92), hsv(hue, 0.22, 0.97), 0.09, width=0.4)
    tilt = math.radians(62)
    parts = []
    for radii in ((half, 0.2, 0.1), (half * 0.93, 0.235, 0.075)):
        solid = ball(ade.PILLOW, colour, (0, 0, 0), radii)
        c, s = math.cos(tilt - math.pi / 2), math.sin(tilt - math.pi / 2)
        axes = np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)
        parts.append(solid.moved(axes, np.array([0, 0.13, 0], np.float32)))
    return parts


def sofa(rng: np.random.Generator, wide: float) -> list[Solid]:
    """Teal cloth: seat cushions, back, arms; often a pillow."""
    hue = rng.uniform(170, 186)
    cloth = m.carpet(hsv(hue, 0.72, rng.uniform(0.42, 0.54)), 0.5)
    seat = m.carpet(hsv(hue, 0.66, rng.uniform(0.54, 0.62)), 0.5)
    w, arm = wide / 2, 0.2
    cushions = 3 if wide > 1.9 else 2
    each = (wide - 2 * arm) / cushions
    parts = [
        box(ade.SOFA, cloth, (-w, 0.08, 0), (w, 0.3, 0.9)),
        box(ade.SOFA, cloth, (-w, 0.3, 0), (w, 0.86, 0.24)),
        box(ade.SOFA, cloth, (-w, 0.3, 0), (-w + arm, 0.62, 0.9)),
        box(ade.SOFA, cloth, (w - arm, 0.3, 0), (w, 0.62, 0.9)),
        rod(ade.SOFA, cloth, (-w + arm / 2, 0.62, 0.02), (-w + arm / 2, 0.62, 0.9), arm / 2),
        rod(ade.SOFA, cloth, (w - arm / 2, 0.62, 0.02), (w - arm / 2, 0.62, 0.9), arm / 2),
    ]
    for i in range(cushions):
        left = -w + arm + i * each
        parts.append(
            box(ade.SOFA, seat, (left + 0.01, 0.3, 0.24), (left + each - 0.01, 0.46, 0.92))
        )
        parts.append(
            box(ade.SOFA, seat, (left + 0.015, 0.46, 0.22), (left + each - 0.015, 0.82, 0.37))
        )
    for side in rng.permutation([-1, 1])[: rng.integers(1, 3)]:
        parts += placed(pillow(rng, 0.27), 0.0, side * (w - arm - 0.3), 0.5, 0.5)
    return parts


def cabinet(rng: np.random.Generator, wide: float, tall: float, deep: float) -> list[Solid]:
    """Sage green panelled doors with brass knobs, on a plinth under a top board."""
    hue, value = rng.uniform(88, 112), rng.uniform(0.5, 0.62)
    body = panels.panelled(
        hsv(hue, 0.36, value), max(2, round(wide / 0.5)), 1 if tall < 1.1 else 2, _BRASS, 0.08
    )
    top = m.plain(hsv(hue, 0.3, value * 0.72), 0.05)
    w = wide / 2
    return [
        box(ade.CABINET, top, (-w + 0.03, 0, 0), (w - 0.03, 0.09, deep - 0.05)),
        box(ade.CABINET, body, (-w, 0.09, 0), (w, tall - 0.04, deep)),
        box(ade.CABINET, top, (-w - 0.02, tall - 0.04, 0), (w + 0.02, tall, deep + 0.02)),
    ]


def bookcase(rng: np.random.Generator, wide: float, tall: float) -> list[Solid]:
    """Dark walnut full of books of all colours."""
    case = hsv(rng.uniform(14, 24), 0.58, rng.uniform(0.24, 0.31))
    tones = [
        hsv(h, s, v)
        for h, s, v in (
            (2, 0.75, 0.5),
            (38, 0.5, 0.7),
            (140, 0.5, 0.34),
            (215, 0.6, 0.4),
            (30, 0.2, 0.78),
            (280, 0.4, 0.35),
            (20, 0.7, 0.35),
        )
    ]
    order = [tones[i] for i in rng.permutation(len(tones))]
    front = panels.books(case, tall / round(tall / 0.34), order)
    w = wide / 2
    return [
        box(ade.BOOKCASE, front, (-w, 0.0, 0), (w, tall, 0.32)),
        box(ade.BOOKCASE, m.wood(case, 0.2), (-w - 0.02, tall, 0), (w + 0.02, tall + 0.05, 0.35)),
    ]


def door(rng: np.random.Generator, wide: float) -> list[Solid]:
    """A red-brown panelled door in its frame."""
    colour = hsv(rng.uniform(10, 18), rng.uniform(0.66, 0.74), rng.uniform(0.42, 0.52))
    leaf = panels.panelled(colour, 1, 2, _BRASS, 0.2)
    frame = m.wood(colour * 0.72, 0.15, upright=True)
    w = wide / 2
    return [
        box(ade.DOOR, leaf, (-w, 0, 0), (w, 2.05, 0.04)),
        box(ade.DOOR, frame, (-w - 0.09, 0, 0), (-w, 2.14, 0.07)),
        box(ade.DOOR, frame, (w, 0, 0), (w + 0.09, 2.14, 0.07)),
        box(ade.DOOR, frame, (-w - 0.09, 2.05, 0), (w + 0.09, 2.14, 0.07)),
    ]


def window(rng: np.random.Generator, wide: float, curtains: bool) -> list[Solid]:
    """A bright window with white bars, and mustard curtains on a rod if asked for."""
    sky = hsv(rng.uniform(198, 212), rng.uniform(0.22, 0.4), 1.0)
    garden = hsv(rng.uniform(95, 125), 0.38, rng.uniform(0.55, 0.75))
    frame = hsv(40, 0.04, 0.93)
    low, high, w = rng.uniform(0.75, 0.95), rng.uniform(2.1, 2.25), wide / 2
    parts = [
        box(
            ade.WINDOW,
            panels.window(frame, sky, garden, 2 if wide < 1.7 else 3),
            (-w, low, 0),
            (w, high, 0.05),
            glow=0.75,
        ),
        box(ade.WINDOW, m.plain(frame, 0.02), (-w - 0.05, low - 0.06, 0), (w + 0.05, low, 0.16)),
    ]
    if curtains:
        colour = m.folds(
            hsv(rng.uniform(40, 50), rng.uniform(0.72, 0.82), rng.uniform(0.72, 0.84)),
            rng.uniform(0.13, 0.19),
        )
        cloth = rng.uniform(0.38, 0.5)
        for side in (-1, 1):
            inner = side * (w - 0.12)
            ends = sorted((inner, inner + side * cloth))
            parts.append(
                box(ade.CURTAIN, colour, (ends[0], 0.05, 0.07), (ends[1], high + 0.14, 0.15))
            )
        parts.append(
            rod(
                ade.CURTAIN,
                m.plain(_DARK),
                (-w - cloth, high + 0.16, 0.11),
                (w + cloth, high + 0.16, 0.11),
                0.02,
            )
        )
    return parts


def painting(rng: np.random.Generator, wide: float, tall: float, middle: float) -> list[Solid]:
    """A framed landscape with its middle at height `middle`."""
    warm = rng.uniform(0, 1) < 0.5
    tones = [
        hsv(18, 0.65, 0.95) if warm else hsv(265, 0.5, 0.75),
        hsv(285, 0.5, 0.45),
        hsv(60, 0.75, 0.62),
        hsv(52, 0.6, 1.0),
    ]
    frame = hsv(rng.uniform(35, 45), 0.7, rng.uniform(0.45, 0.6))
    colour = panels.picture(frame, tones, float(rng.uniform(0, 90)))
    return [
        box(
            ade.PAINTING,
            colour,
            (-wide / 2, middle - tall / 2, 0),
            (wide / 2, middle + tall / 2, 0.045),
        )
    ]


def tv(rng: np.random.Generator, wide: float, base: float) -> list[Solid]:
    """A television standing at height `base`."""
    on = hsv(rng.uniform(195, 290), 0.75, 0.75) if rng.uniform() < 0.35 else None
    tall, black = wide * 0.58, m.plain(hsv(230, 0.2, 0.06), 0.02)
    return [
        box(ade.TV, black, (-0.22, base, 0.12), (0.22, base + 0.03, 0.36)),
        box(ade.TV, black, (-0.06, base + 0.03, 0.2), (0.06, base + 0.12, 0.24)),
        box(
            ade.TV,
            panels.screen(on, float(rng.uniform(0, 99))),
            (-wide / 2, base + 0.08, 0.19),
            (wide / 2, base + 0.08 + tall, 0.26),
            glow=0.35 if on is not None else 0.1,
        ),
    ]


def table(rng: np.random.Generator, wide: float, deep: float, tall: float) -> list[Solid]:
    """Pale birch: a thick top on four legs, centred at the origin."""
    birch = hsv(rng.uniform(34, 40), rng.uniform(0.42, 0.5), rng.uniform(0.84, 0.93))
    w, d = wide / 2, deep / 2
    leg = m.wood(birch * 0.85, 0.12, upright=True)
    parts = [
        box(ade.TABLE, m.wood(birch, 0.16), (-w, tall - 0.05, -d), (w, tall, d)),
        box(ade.TABLE, leg, (-w + 0.08, tall - 0.15, -d + 0.08), (w - 0.08, tall - 0.05, d - 0.08)),
    ]
    for x in (-w + 0.08, w - 0.08):
        for z in (-d + 0.08, d - 0.08):
            parts.append(
                box(ade.TABLE, leg, (x - 0.04, 0, z - 0.04), (x + 0.04, tall - 0.05, z + 0.04))
            )
    return parts


def chair(rng: np.random.Generator) -> list[Solid]:
    """A red upholstered chair, centred at the origin, its back towards -z."""
    red = hsv(rng.uniform(-6, 4), rng.uniform(0.74, 0.84), rng.uniform(0.66, 0.8))
    cloth, leg = m.plain(red, 0.08, 0.012), m.wood(red * 0.5, 0.1, upright=True)
    w = 0.23
    parts = [
        box(ade.CHAIR, cloth, (-w, 0.4, -w), (w, 0.5, w)),
        box(ade.CHAIR, cloth, (-w, 0.52, -w - 0.01), (w, 0.98, -w + 0.06)),
    ]
    for x in (-w + 0.03, w - 0.03):
        for z in (-w + 0.03, w - 0.03):
            parts.append(
                box(ade.CHAIR, leg, (x - 0.025, 0, z - 0.025), (x + 0.025, 0.4, z + 0.025))
            )
        parts.append(box(ade.CHAIR, leg, (x - 0.02, 0.4, -w), (x + 0.02, 0.56, -w + 0.04)))
    return parts


def lamp(rng: np.random.Generator) -> list[Solid]:
    """A floor lamp: a glowing shade on a dark stand, centred at the origin."""
    tall = rng.uniform(1.45, 1.65)
    glow = m.plain(hsv(rng.uniform(44, 52), rng.uniform(0.28, 0.38), 1.12), 0.02)
    dark = m.plain(hsv(40, 0.3, 0.16), 0.05)
    return [
        post(ade.LAMP, dark, (0, 0, 0), 0.04, 0.17),
        post(ade.LAMP, dark, (0, 0.04, 0), tall, 0.025),
        post(ade.LAMP, glow, (0, tall - 0.22, 0), 0.4, 0.27, 0.17, glow=1.0),
    ]


def plant(rng: np.random.Generator) -> list[Solid]:
    """Lush leaves in a pot, centred at the origin."""
    hue = rng.uniform(118, 138)
    green = m.leaves(hsv(hue, 0.78, 0.42), hsv(hue - 18, 0.68, 0.72), 0.045)
    pot = m.plain(hsv(rng.uniform(128, 150), 0.5, 0.3), 0.1, 0.03)
    high = rng.uniform(0.75, 1.0)
    parts = [
        post(ade.PLANT, pot, (0, 0, 0), 0.36, 0.15, 0.21),
        post(ade.PLANT, m.plain(hsv(110, 0.5, 0.25)), (0, 0.36, 0), high - 0.4, 0.03),
    ]
    for _ in range(7):
        angle, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.04, 0.2)
        centre = (out * np.cos(angle), high + rng.uniform(-0.28, 0.3), out * np.sin(angle))
        parts.append(ball(ade.PLANT, green, centre, rng.uniform(0.15, 0.25, 3), fuzz=0.85))
    return parts


def rug(rng: np.random.Generator, wide: float, deep: float) -> list[Solid]:
    """A knotted rug in violet, navy and cream, centred at the origin."""
    hue = rng.uniform(256, 276)
    tones = [
        hsv(hue, 0.62, 0.48),
        hsv(hue + 30, 0.5, 0.7),
        hsv(40, 0.22, 0.86),
        hsv(hue - 12, 0.66, 0.32),
    ]
    return [
        box(
            ade.RUG,
            m.rings(tones, (wide / 2, deep / 2)),
            (-wide / 2, 0, -deep / 2),
            (wide / 2, 0.012, deep / 2),
            casts=False,
        )
    ]
