"""Traffic lights and signs."""

from __future__ import annotations

import numpy as np

from symbio.sample import ade, panels
from symbio.sample import materials as m
from symbio.sample.geometry import Float, Solid, Surface
from symbio.sample.materials import hsv
from symbio.sample.solids import box, post, rod


def signal(rng: np.random.Generator, foot: tuple[float, float], reach: float) -> list[Solid]:
    """Traffic lights at (x, z): on the post, and on an arm of `reach` metres over the road."""
    x, z = foot
    lit = int(rng.integers(3))
    steel = m.plain(hsv(215, 0.16, 0.3), 0.04)
    parts = [
        post(ade.POLE, steel, (x, 0, z), 5.6, 0.13, 0.1),
        rod(ade.POLE, steel, (x, 5.3, z), (x + reach, 5.5, z), 0.08, 0.06),
    ]
    for at, low in ((x, 2.5), (x + reach * 0.95, 4.3)):
        parts += _signal_head(at, low, z - 0.18, lit)
    return parts


def _signal_head(x: float, low: float, z: float, lit: int) -> list[Solid]:
    """A head 0.6 m wide and 1.5 m tall whose face looks towards -z."""
    rim, face = hsv(50, 0.85, 0.95), hsv(230, 0.2, 0.05)
    lamps = [hsv(358, 0.95, 1.0), hsv(40, 0.95, 1.0), hsv(150, 0.95, 0.9)]

    def colour(s: Surface) -> Float:
        edge = np.maximum(np.abs(s.x) / s.half[0], 1 - (s.half[1] - np.abs(s.y)) / s.half[0]) > 0.8
        out = np.where((edge & (s.face == 2))[:, None], rim, face)
        for i, lamp in enumerate(lamps):
            on = np.hypot(s.x, s.y - np.float32(0.46 * (1 - i))) < 0.19
            out[on & (s.face == 2)] = lamp if i == lit else lamp * 0.28
        return out.astype(np.float32)

    return [
        box(
            ade.TRAFFIC_LIGHT,
            colour,
            (x - 0.3, low, z - 0.12),
            (x + 0.3, low + 1.5, z + 0.12),
            glow=0.35,
        )
    ]


def plate(rng: np.random.Generator, foot: tuple[float, float]) -> list[Solid]:
    """A traffic sign at (x, z) whose face looks towards -z."""
    x, z = foot
    kind = int(rng.integers(3))
    faces = [
        (hsv(212, 0.95, 0.78), hsv(0, 0, 1)),
        (hsv(212, 0.95, 0.78), hsv(0, 0, 1)),
        (hsv(0, 0, 1), hsv(212, 0.95, 0.7)),
    ]
    face, mark = faces[kind]
    half, low = rng.uniform(0.45, 0.6), rng.uniform(1.9, 2.2)
    steel = m.plain(hsv(215, 0.1, 0.45), 0.04)
    colour = panels.sign(face, mark, kind)
    return [
        post(ade.POLE, steel, (x, 0, z), low + half * 1.8, 0.06),
        box(
            ade.SIGNBOARD,
            colour,
            (x - half, low, z - 0.1),
            (x + half, low + 2 * half, z - 0.06),
            glow=0.2,
        ),
    ]
