"""Cars, trucks, buses and bicycles, each at the origin, driving along z, wheels on y = 0."""

from __future__ import annotations

import numpy as np

from symbio.sample import ade
from symbio.sample import materials as m
from symbio.sample.geometry import Colour, Float, Solid, Surface
from symbio.sample.materials import hsv
from symbio.sample.solids import box, hull, post, rod

_TYRE = hsv(220, 0.1, 0.07)
_RIM = hsv(220, 0.05, 0.62)
_GLASS = hsv(205, 0.35, 0.2)


def _wheel_colour(radius: float) -> Colour:
    """A wheel's face: tyre, rim, five spokes. The wheel's own axis is y."""

    def colour(s: Surface) -> Float:
        r = np.hypot(s.x, s.z) / np.float32(radius)
        spoke = np.cos(np.arctan2(s.z, s.x) * 5) > -0.2
        metal = (s.face == 1) & (r < 0.66) & (spoke | (r < 0.2))
        return np.where(metal[:, None], _RIM, _TYRE).astype(np.float32)

    return colour


def _wheels(
    label: int, half_track: float, axles: list[float], radius: float, wide: float
) -> list[Solid]:
    colour = _wheel_colour(radius)
    parts = []
    for z in axles:
        for side in (-1, 1):
            outer = side * half_track
            parts.append(
                rod(label, colour, (outer - side * wide, radius, z), (outer, radius, z), radius)
            )
    return parts


def _paint(rgb: Float) -> Colour:
    """Car paint: darker sills, a lighter shoulder, door gaps."""

    def colour(s: Surface) -> Float:
        up = np.clip((s.y / s.half[1] + 1) / 2, 0, 1)
        gain = 0.72 + 0.36 * up
        gap = (s.face == 0) & (np.abs(np.abs(s.z + 0.15) - 0.55) < 0.012)
        sill = (up < 0.16) & (s.face != 1)
        gain = np.where(gap, gain * np.float32(0.45), gain)
        out = rgb * gain[:, None]
        out[sill] = 0.07
        return np.asarray(out, np.float32)

    return colour


def _cabin(rgb: Float) -> Colour:
    """Roof and pillars in the car's colour, the rest glass that mirrors the sky above."""

    def colour(s: Surface) -> Float:
        up = (s.y / s.half[1] + 1) / 2
        roof = (up > 0.9) | ((s.face == 0) & ((np.abs(s.z - 0.05) < 0.05) | (up < 0.08)))
        edge = (s.face != 0) & (np.abs(s.x) > s.half[0] * 0.86 - 0.1 * up)
        glass = _GLASS + (0.34 * np.clip(up, 0, 1) ** 2)[:, None] * np.array(
            [0.75, 0.9, 1.0], np.float32
        )
        return np.where((roof | edge)[:, None], rgb, glass).astype(np.float32)

    return colour


def car(rng: np.random.Generator) -> list[Solid]:
    """A hatchback, saloon or estate in silver, red or blue."""
    hue, saturation, value = [(210, 0.06, 0.74), (356, 0.82, 0.66), (222, 0.75, 0.6)][
        int(rng.integers(3))
    ]
    rgb = hsv(
        hue + rng.uniform(-5, 5),
        saturation * rng.uniform(0.85, 1.1),
        value * rng.uniform(0.85, 1.15),
    )
    long, w = rng.uniform(1.95, 2.25), rng.uniform(0.86, 0.92)
    tall, tail = rng.uniform(1.42, 1.52), rng.uniform(0.0, 0.75)
    body = [
        (long, 0.45),
        (long - 0.08, 0.68),
        (long - 0.75, 0.86),
        (-long + 0.15, 0.93),
        (-long, 0.8),
        (-long + 0.05, 0.3),
        (long - 0.08, 0.26),
    ]
    cabin = [
        (long - 0.85, 0.84),
        (0.35, tall - 0.03),
        (-0.35, tall),
        (-long + 0.35 + tail, tall - 0.08),
        (-long + 0.1 + tail * 0.6, 0.9),
    ]
    label = ade.CAR
    red, white = m.plain(hsv(356, 0.9, 0.75), 0.02), m.plain(hsv(60, 0.05, 0.97), 0.02)
    parts = [
        hull(label, _paint(rgb), body, w, 0.03),
        hull(label, _cabin(rgb), cabin, w - 0.06, 0.28),
    ]
    for side in (-1, 1):
        x0, x1 = sorted((side * (w - 0.36), side * (w - 0.06)))
        parts.append(box(label, red, (x0, 0.66, -long - 0.01), (x1, 0.82, -long + 0.2), glow=0.3))
        parts.append(box(label, white, (x0, 0.52, long - 0.3), (x1, 0.66, long - 0.02), glow=0.3))
        mirror = sorted((side * (w - 0.02), side * (w + 0.14)))
        parts.append(box(label, m.plain(rgb), (mirror[0], 0.9, 0.6), (mirror[1], 1.02, 0.7)))
    parts.append(box(label, white, (-0.26, 0.5, -long - 0.03), (0.26, 0.61, -long + 0.1)))
    return parts + _wheels(label, w + 0.01, [long - 0.8, -long + 0.75], 0.32, 0.2)


def truck(rng: np.random.Generator) -> list[Solid]:
    """A lorry: turquoise box body behind a white cab."""
    hue = rng.uniform(168, 180)
    cargo = m.stripes(hsv(hue, 0.75, 0.62), hsv(hue, 0.6, 0.72), 0.45, width=0.3)
    white = hsv(hue, 0.3, 0.85)
    dark = m.plain(hsv(220, 0.1, 0.13), 0.05)
    label, w, long = ade.TRUCK, 1.22, rng.uniform(2.8, 3.6)
    cab = [
        (long + 1.75, 0.5),
        (long + 1.72, 1.3),
        (long + 1.45, 2.3),
        (long + 0.25, 2.45),
        (long + 0.2, 0.5),
    ]
    parts = [
        box(label, cargo, (-w, 0.95, -long), (w, rng.uniform(3.0, 3.4), long)),
        box(label, dark, (-w + 0.2, 0.55, -long), (w - 0.2, 0.95, long + 1.2)),
        hull(label, _lorry_cab(white), cab, w - 0.05, 0.02),
        box(label, dark, (-w, 0.5, -long - 0.06), (w, 0.72, -long)),
    ]
    for side in (-1, 1):
        x0, x1 = sorted((side * (w - 0.45), side * (w - 0.1)))
        parts.append(
            box(
                label,
                m.plain(hsv(358, 0.9, 0.8), 0.02),
                (x0, 0.74, -long - 0.05),
                (x1, 0.9, -long),
                glow=0.3,
            )
        )
    return parts + _wheels(label, w, [long + 0.9, -long + 0.9, -long + 2.0], 0.48, 0.3)


def _lorry_cab(rgb: Float) -> Colour:
    def colour(s: Surface) -> Float:
        up = s.y / s.half[1]
        pane = (up > 0.05) & (up < 0.75) & (np.abs(s.x) < s.half[0] * 0.9) & (s.face != 1)
        pane |= (s.face == 0) & (up > 0.05) & (up < 0.72) & (s.z > -0.25)
        gain = 0.9 + 0.1 * up
        return np.where(pane[:, None], _GLASS, rgb * gain[:, None]).astype(np.float32)

    return colour


def bus(rng: np.random.Generator) -> list[Solid]:
    """A yellow city bus with a dark band of windows."""
    yellow = hsv(rng.uniform(44, 51), rng.uniform(0.82, 0.9), rng.uniform(0.86, 0.94))
    label, w, long, tall = ade.BUS, 1.27, rng.uniform(4.3, 5.3), 3.05
    outline = [
        (long, 0.45),
        (long - 0.05, 1.5),
        (long - 0.25, tall - 0.1),
        (long - 0.5, tall),
        (-long + 0.25, tall),
        (-long, tall - 0.2),
        (-long, 0.4),
    ]
    parts = [hull(label, _bus_side(yellow, tall), outline, w, 0.015)]
    for side in (-1, 1):
        x0, x1 = sorted((side * (w - 0.28), side * (w - 0.06)))
        parts.append(
            box(
                label,
                m.plain(hsv(356, 0.9, 0.8), 0.02),
                (x0, 0.8, -long - 0.02),
                (x1, 1.2, -long + 0.1),
                glow=0.3,
            )
        )
    return parts + _wheels(label, w, [long - 2.3, -long + 2.4], 0.48, 0.3)


def _bus_side(rgb: Float, tall: float) -> Colour:
    def colour(s: Surface) -> Float:
        up = (s.y + s.half[1] + 0.4) / tall
        along = np.where(s.face == 0, s.z, s.x)
        post_ = np.abs(np.mod(along, 1.45) - 0.72) > 0.66
        pane = (up > 0.42) & (up < 0.78) & ~post_ & (s.face != 1)
        pane &= (s.face == 0) | (np.abs(s.x) < 1.1)
        stripe = (up > 0.24) & (up < 0.3)
        shine = 0.3 * np.clip((up - 0.42) / 0.36, 0, 1)
        glass = _GLASS + shine[:, None] * np.array([0.7, 0.85, 1.0], np.float32)
        out = np.where(
            stripe[:, None],
            np.array([0.62, 0.1, 0.08], np.float32),
            rgb * (np.float32(0.85) + np.float32(0.15) * up)[:, None],
        )
        board = (s.face == 2) & (up > 0.81) & (up < 0.93) & (np.abs(s.x) < 0.8)
        out = np.where(board[:, None], np.array([0.08, 0.07, 0.05], np.float32), out)
        return np.where(pane[:, None], glass, out).astype(np.float32)

    return colour


def bicycle(rng: np.random.Generator) -> list[Solid]:
    """A magenta bicycle leaning on its stand; wheels are discs, as data sets label them."""
    hue = rng.uniform(308, 324)
    frame = m.plain(hsv(hue, 0.85, 0.85), 0.02)
    black = m.plain(hsv(hue, 0.5, 0.12), 0.05)
    label, r = ade.BICYCLE, 0.36
    wheel = _spokes(r, hsv(hue, 0.5, 0.55))
    parts = [rod(label, wheel, (-0.02, r, z), (0.02, r, z), r) for z in (-0.54, 0.54)]
    crank, seat, head = (0.0, 0.3, -0.05), (0.0, 0.86, -0.22), (0.0, 0.84, 0.38)
    for start, end, radius in (
        (crank, seat, 0.035),
        (crank, head, 0.04),
        ((0.0, 0.78, -0.2), head, 0.035),
        (crank, (0.0, r, -0.54), 0.03),
        ((0.0, 0.76, -0.19), (0.0, r, -0.54), 0.03),
        ((0.0, 1.0, 0.33), (0.0, r, 0.54), 0.035),
    ):
        parts.append(rod(label, frame, start, end, radius))
    parts.append(box(label, black, (-0.08, 0.9, -0.36), (0.08, 0.97, -0.1)))
    parts.append(rod(label, black, (-0.28, 1.03, 0.3), (0.28, 1.03, 0.3), 0.028))
    basket = m.checks(hsv(hue, 0.55, 0.5), hsv(hue, 0.5, 0.35), 0.06)
    parts.append(post(label, basket, (0, 0.78, 0.58), 0.26, 0.13, 0.18))
    return parts


def _spokes(radius: float, between: Float) -> Colour:
    def colour(s: Surface) -> Float:
        r = np.hypot(s.x, s.z) / np.float32(radius)
        spoke = np.abs(np.sin(np.arctan2(s.z, s.x) * 9)) < 0.14
        out = np.where((spoke | (r < 0.12))[:, None], _RIM, between)
        return np.where((r > 0.86)[:, None] | (s.face != 1)[:, None], _TYRE, out).astype(np.float32)

    return colour
