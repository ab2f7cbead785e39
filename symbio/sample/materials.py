"""Materials: functions from surface points to colour, drawn procedurally.

Sizes are metres. Detail finer than a couple of pixels fades out (`fade`), as a lens would blur it.
"""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.sample.geometry import Colour, Float, Surface
from symbio.sample.noise import cells, smooth


def hsv(hue_deg: float, saturation: float, value: float) -> Float:
    """RGB (3,) in 0..1."""
    return np.array(colorsys.hsv_to_rgb(hue_deg / 360 % 1, saturation, value), np.float32)


def fade(s: Surface, size: float) -> Float:
    """1 where detail of this size covers three pixels or more, 0 where less than one."""
    return np.clip((np.float32(size) / s.pixel - 1) / 2, 0, 1).astype(np.float32)


def line(a: Float, period: float, width: float) -> Float:
    """1 on lines of `width` at every `period` of coordinate `a`, soft by a quarter of it."""
    away = np.abs(a / period - np.round(a / period)) * period
    return np.asarray(np.clip((width / 2 - away) / (width / 4) + 1, 0, 1), np.float32)


def tint(base: Float, gain: NDArray[Any]) -> Float:
    """`base` ((3,) or (N, 3)) times a gain (N)."""
    return np.asarray(base * gain[:, None], np.float32)


def mix(first: Float, second: Float, share: Float) -> Float:
    """From `first` to `second` ((3,) or (N, 3)) by `share` (N)."""
    return first + share[:, None] * (second - first)


def plain(rgb: Float, grain: float = 0.05, size: float = 0.02) -> Colour:
    """One colour with a fine grain."""

    def colour(s: Surface) -> Float:
        n = smooth(s.u / size + s.x, s.v / size + s.z, 3) - 0.5
        return tint(rgb, 1 + np.float32(2 * grain) * n * fade(s, size * 2))

    return colour


def wood(rgb: Float, grain: float = 0.22, upright: bool = False) -> Colour:
    """Wood grain along u, or along v if `upright`."""

    def colour(s: Surface) -> Float:
        along, across = (s.v, s.u) if upright else (s.u, s.v)
        bend = smooth(along * 9, across * 22, 3)
        rings = np.sin((across * 60 + bend * 9) * 2.2) * 0.5
        fine = smooth(along * 22, across * 420, 2) - 0.5
        gain = 1 + np.float32(grain) * (rings * fade(s, 0.03) * 0.55 + fine * fade(s, 0.006))
        return tint(rgb, gain * (0.92 + 0.16 * bend))

    return colour


def planks(rgb: Float, wide: float = 0.13, long: float = 1.3) -> Colour:
    """Floor boards along v with their own tone each, grain and dark joints."""

    def colour(s: Surface) -> Float:
        row = np.floor(s.u / wide)
        shift = cells(row, row * 0, 3) * np.float32(long)
        end = np.floor((s.v + shift) / long)
        tone = cells(row, end, 7)
        grain = smooth(s.u * 260 + tone * 90, s.v * 16, 3) - 0.5
        joint = np.maximum(line(s.u, wide, 0.008), line(s.v + shift, long, 0.008)) * fade(s, 0.012)
        gain = 0.82 + 0.32 * tone + 0.3 * grain * fade(s, 0.01)
        return tint(rgb, gain * (1 - 0.55 * joint))

    return colour


def tiles(
    rgb: Float, other: Float, size: float, joint: float = 0.008, checks: bool = True
) -> Colour:
    """Tiles in two colours, chequered or at random, with dull joints."""

    def colour(s: Surface) -> Float:
        i, j = np.floor(s.u / size), np.floor(s.v / size)
        share = np.mod(i + j, 2) if checks else cells(i, j, 11)
        stone = smooth(s.u * 45, s.v * 45, 4) - 0.5
        base = mix(rgb, other, share.astype(np.float32)) * (1 + 0.1 * stone)[:, None]
        grout = np.maximum(line(s.u, size, joint), line(s.v, size, joint)) * fade(s, joint * 2)
        return tint(base, 1 - 0.4 * grout)

    return colour


def brick(rgb: Float, mortar: Float, long: float = 0.26, tall: float = 0.085) -> Colour:
    """A running bond, every brick with its own tone."""

    def colour(s: Surface) -> Float:
        row = np.floor(s.v / tall)
        shifted = s.u + np.mod(row, 2) * np.float32(long / 2)
        tone = cells(np.floor(shifted / long), row, 5)
        near = fade(s, tall / 2)
        rough = smooth(s.u * 110, s.v * 110, 3) - 0.5
        gain = 1 + (tone - 0.5) * 0.5 * near + 0.25 * rough * near
        joint = np.maximum(line(shifted, long, 0.014), line(s.v, tall, 0.014))
        return mix(tint(rgb, gain), mortar[None], joint * near * 0.85 + (1 - near) * 0.14)

    return colour


def stripes(
    rgb: Float, other: Float, period: float, upright: bool = True, width: float = 0.5
) -> Colour:
    """Stripes with a woven grain; `width` is the share of the second colour."""

    def colour(s: Surface) -> Float:
        a = s.u if upright else s.v
        share = line(a, period, period * width) * fade(s, period / 2)
        share = share + (1 - fade(s, period / 2)) * np.float32(width)
        weave = smooth(s.u * 130, s.v * 130, 2) - 0.5
        return mix(rgb[None], other[None], share) * (1 + 0.12 * weave * fade(s, 0.01))[:, None]

    return colour


def checks(rgb: Float, other: Float, period: float) -> Colour:
    """A tartan: stripes both ways, darker where they cross."""

    def colour(s: Surface) -> Float:
        near = fade(s, period / 2)
        across, up = line(s.u, period, period / 2), line(s.v, period, period / 2)
        share: Float = (across + up) * 0.5 * near + (1 - near) * 0.5
        weave = smooth(s.u * 130, s.v * 130, 2) - 0.5
        return mix(rgb[None], other[None], share) * (1 + 0.1 * weave)[:, None]

    return colour


def carpet(rgb: Float, pile: float = 0.35) -> Colour:
    """A speckled pile."""

    def colour(s: Surface) -> Float:
        fine = smooth(s.u * 160, s.v * 160, 2) - 0.5
        broad = smooth(s.u * 11, s.v * 11, 4) - 0.5
        return tint(rgb, 1 + np.float32(pile) * fine * fade(s, 0.01) + 0.16 * broad)

    return colour


def folds(rgb: Float, period: float = 0.16) -> Colour:
    """A hanging curtain: vertical folds with a sheen, wandering a little."""

    def colour(s: Surface) -> Float:
        sway = smooth(s.u * 5, s.v * 1.2, 3)
        phase = (s.u + 0.09 * sway) * np.float32(2 * np.pi / period)
        wave = np.sin(phase) + 0.35 * np.sin(phase * 2.3 + 1)
        weave = smooth(s.u * 240, s.v * 240, 2) - 0.5
        return tint(rgb, 0.86 + 0.24 * wave + 0.07 * weave)

    return colour


def quilt(rgb: Float, other: Float, size: float = 0.22) -> Colour:
    """A quilted blanket: soft diamonds, seams, and bands of the second colour."""

    def colour(s: Surface) -> Float:
        a, b = s.x + s.z, s.x - s.z + s.y
        puff = np.cos(a * np.float32(np.pi / size)) * np.cos(b * np.float32(np.pi / size))
        band = line(s.z, size * 4, size * 0.9)
        cloth = smooth(s.u * 120, s.v * 120, 2) - 0.5
        gain = 0.9 + 0.2 * np.abs(puff) * fade(s, size / 3) + 0.08 * cloth
        return tint(mix(rgb[None], other[None], band * 0.85), gain)

    return colour


def leaves(rgb: Float, light: Float, size: float = 0.05) -> Colour:
    """Foliage: clumps from dark to light with sharp speckle."""

    def colour(s: Surface) -> Float:

        def speckle(grain: float, octaves: int) -> Float:
            # Two upright views summed: a single one would smear where it is seen edge-on.
            front = smooth(s.x / grain, s.y / grain, octaves)
            flank = smooth(s.z / grain + 50, s.y / grain + 20, octaves)
            return (front + flank) * 0.5

        clump = speckle(size * 4, 3)
        leaf = (speckle(size, 1) - 0.5) * 1.4 * fade(s, size)
        fine = (speckle(size * 0.45, 1) - 0.5) * 1.4 * fade(s, size / 2)
        share = clump * 0.6 + leaf * 0.75 + fine * 0.6 + 0.18
        return mix(rgb[None] * 0.5, light[None], np.clip(share, 0, 1))

    return colour


def grass(rgb: Float, dry: Float) -> Colour:
    """Lawn: blades, and drier patches."""

    def colour(s: Surface) -> Float:
        patch = smooth(s.u * 0.9, s.v * 0.9, 5)
        blade = smooth(s.u * 55, s.v * 38, 2) - 0.5
        tuft = smooth(s.u * 9, s.v * 9, 3) - 0.5
        gain = 0.95 + 0.5 * blade * fade(s, 0.03) + 0.2 * tuft * fade(s, 0.15)
        return mix(rgb[None], dry[None], patch * 0.55) * gain[:, None]

    return colour


def slabs(rgb: Float, size: float = 0.6) -> Colour:
    """Pavement slabs with joints."""

    def colour(s: Surface) -> Float:
        tone = cells(s.u / size, s.v / size, 21)
        stone = smooth(s.u * 40, s.v * 40, 4) - 0.5
        joint = np.maximum(line(s.u, size, 0.035), line(s.v, size, 0.035)) * fade(s, 0.025)
        near = fade(s, size / 3)
        gain = 1 + (tone - 0.5) * 0.2 * near + 0.2 * stone
        return tint(rgb, gain * (1 - 0.5 * joint))

    return colour


def rings(colours: list[Float], half: tuple[float, float]) -> Colour:
    """A rug: nested rectangles in turn, with a knotted grain and a lozenge in the middle."""
    table = np.stack(colours)

    def colour(s: Surface) -> Float:
        a, b = np.abs(s.x) / np.float32(half[0]), np.abs(s.z) / np.float32(half[1])
        edge = np.maximum(a, b)
        lozenge = (a + b) * 0.9
        index = np.where(edge > 0.62, np.floor((1 - edge) * 10.5), 4 + np.floor(lozenge * 5))
        knot = smooth(s.x * 120, s.z * 120, 2) - 0.5
        weft = np.sin(s.z * 160) * 0.05 * fade(s, 0.02)
        base = table[np.mod(index, len(table)).astype(np.int8)]
        return tint(base, 1 + 0.3 * knot * fade(s, 0.01) + weft)

    return colour
