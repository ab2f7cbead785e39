"""Materials drawn on the front of one solid: doors, books, windows, pictures, screens, facades."""

from __future__ import annotations

import numpy as np

from symbio.sample.geometry import Colour, Float, Surface
from symbio.sample.materials import fade, line, mix, plain, tint, wood
from symbio.sample.noise import cells, smooth


def _inside(
    a: Float, b: Float, box: tuple[float, float, float, float], soft: float = 0.02
) -> Float:
    """1 inside a rectangle (left, right, bottom, top) of face coordinates, soft at its edge."""
    left, right, bottom, top = box
    away = np.minimum(np.minimum(a - left, right - a), np.minimum(b - bottom, top - b))
    return np.asarray(np.clip(away / soft + 0.5, 0, 1), np.float32)


def _frame_coordinates(s: Surface) -> tuple[Float, Float]:
    """Across and up the front, metres from its left and bottom edge."""
    return s.x + s.half[0], s.y + s.half[1]


def panelled(rgb: Float, columns: int, rows: int, knob: Float, grain: float = 0.15) -> Colour:
    """Cabinet or room doors: raised panels in a grid, a knob on each."""
    base = wood(rgb, grain, upright=True)

    def colour(s: Surface) -> Float:
        out = base(s)
        front = s.face == 2
        a, b = _frame_coordinates(s)
        wide, tall = 2 * s.half[0] / columns, 2 * s.half[1] / rows
        p, q = np.mod(a, wide), np.mod(b, tall)
        rim = 0.06 if min(wide, tall) > 0.35 else 0.035
        outer = _inside(p, q, (rim, wide - rim, rim, tall - rim), 0.012)
        inner = _inside(p, q, (rim + 0.03, wide - rim - 0.03, rim + 0.03, tall - rim - 0.03), 0.012)
        bevel = outer - inner
        light = np.where(q > tall / 2, np.float32(0.72), np.float32(1.18))
        gap = np.maximum(line(a, wide, 0.012), line(b, tall, 0.012))
        gain = 1 + bevel * (light - 1) - 0.6 * gap
        out = np.where(front[:, None], tint(out, gain.astype(np.float32)), out)
        side = np.where(np.mod(np.floor(a / wide), 2) == 0, wide - 0.05, 0.05)
        dot = front & (np.hypot(p - side, q - tall / 2) < 0.022)
        out[dot] = knob
        return out

    return colour


def books(case: Float, shelf_m: float, deep_tones: list[Float]) -> Colour:
    """A bookcase's front: shelves of upright spines of many colours, with gaps."""
    body = wood(case, 0.2)
    table = np.stack(deep_tones)

    def colour(s: Surface) -> Float:
        out = body(s)
        a, b = _frame_coordinates(s)
        row = np.floor(b / shelf_m)
        up = b / np.float32(shelf_m) - row
        book = np.floor(a / 0.045 + cells(row, row * 0, 2) * 9)
        tone, tall = cells(book, row, 31), cells(book, row, 37)
        spine = table[(tone * np.float32(len(table) - 0.001)).astype(np.int8)]
        across = a / 0.045 + cells(row, row * 0, 2) * 9 - book
        round_ = 0.65 + 0.45 * np.sin(across * np.float32(np.pi))
        label = np.where((np.abs(up - 0.55) < 0.07) & (tone > 0.4), np.float32(1.35), np.float32(1))
        filled = (up > 0.1) & (up < 0.66 + 0.26 * tall) & (tall > 0.06)
        dark = (up > 0.1) & ~filled
        rim = (s.half[0] - np.abs(s.x) < 0.03) | (s.half[1] - np.abs(s.y) < 0.03)
        front = (s.face == 2) & ~rim
        near = fade(s, 0.045)
        fine = spine * (round_ * label)[:, None]
        mean = table.mean(axis=0) * 0.85
        out[front & filled] = mix(mean[None], fine, near)[front & filled]
        out[front & dark] = case * 0.22
        return out

    return colour


def window(frame: Float, sky: Float, ground: Float, columns: int = 2) -> Colour:
    """A window with bars: bright sky above, blurred garden below, mirrored sheen."""

    def colour(s: Surface) -> Float:
        a, b = _frame_coordinates(s)
        wide, tall = 2 * s.half[0], 2 * s.half[1]
        share = np.clip((b / tall - 0.3) * 5 + (smooth(a * 9, b * 3, 4) - 0.5) * 3, 0, 1)
        view = mix(ground[None], sky[None], share)
        view = view + (0.16 * smooth(a * 4 + b * 3, b * 2, 4))[:, None]
        bars = np.maximum(line(a, wide / columns, 0.05), line(b, tall / 2, 0.045))
        rim = 1 - _inside(a, b, (0.07, wide - 0.07, 0.07, tall - 0.07), 0.01)
        out = mix(view, frame[None], np.maximum(bars, rim))
        return np.where((s.face == 2)[:, None], out, frame[None])

    return colour


def picture(frame: Float, tones: list[Float], seed: float) -> Colour:
    """A framed landscape: sky, hills, a field, with brush strokes and a pale mount."""

    def colour(s: Surface) -> Float:
        a, b = _frame_coordinates(s)
        wide, tall = 2 * s.half[0], 2 * s.half[1]
        at = a / wide
        hill = 0.45 + 0.3 * smooth(at * 6 + seed, at * 0 + seed, 3)
        field = 0.18 + 0.18 * smooth(at * 4 + 9 + seed, at * 0 + seed, 3)
        up = b / tall
        out = np.where((up > hill)[:, None], tones[0], tones[1])
        out = np.where((up < field)[:, None], tones[2], out)
        sun = np.hypot(a - wide * 0.7, b - tall * 0.75) < 0.09 * tall
        out = np.where(sun[:, None], tones[3], out)
        out = out * (0.8 + 0.4 * smooth(a * 60, b * 90, 3))[:, None]
        mount = 1 - _inside(a, b, (0.1, wide - 0.1, 0.1, tall - 0.1), 0.006)
        rim = 1 - _inside(a, b, (0.055, wide - 0.055, 0.055, tall - 0.055), 0.006)
        out = mix(mix(out, np.full((1, 3), 0.86, np.float32), mount), frame[None], rim)
        return np.where((s.face == 2)[:, None], out, frame[None]).astype(np.float32)

    return colour


def screen(on: Float | None, seed: float) -> Colour:
    """A television: black rim, and either a dark gloss or a picture in the tone `on`."""

    def colour(s: Surface) -> Float:
        a, b = _frame_coordinates(s)
        wide, tall = 2 * s.half[0], 2 * s.half[1]
        glass = _inside(a, b, (0.04, wide - 0.04, 0.05, tall - 0.04), 0.006)
        sheen = np.clip(1 - np.abs(a / wide - b / tall * 0.5 - 0.35) * 5, 0, 1)
        base = np.array([0.02, 0.025, 0.04], np.float32) + (sheen * 0.07)[:, None]
        if on is not None:
            scene = smooth(a * 9 + seed, b * 9 + seed, 4)
            base = on * (0.25 + 0.6 * scene)[:, None]
        rim = np.array([0.035, 0.035, 0.04], np.float32)
        out = mix(rim[None], base, glass)
        return np.where((s.face == 2)[:, None], out, rim[None]).astype(np.float32)

    return colour


def facade(
    wall: Colour, frame: Float, glass: Float, bay: float, storey: float, fill: float
) -> Colour:
    """A house front: a wall material with rows of windows, sills, and a darker base."""

    def colour(s: Surface) -> Float:
        out = wall(s)
        a, b = s.u + 200, s.y + s.half[1]
        p, q = np.mod(a, bay), np.mod(b, storey)
        wide, tall = bay * fill, storey * 0.52
        left, low = (bay - wide) / 2, storey * 0.3
        edge = _inside(p, q, (left - 0.1, left + wide + 0.1, low - 0.1, low + tall + 0.1), 0.05)
        pane = _inside(p, q, (left, left + wide, low, low + tall), 0.05)
        bar = np.maximum(
            np.clip(1 - np.abs(p - bay / 2) / 0.06, 0, 1),
            np.clip(1 - np.abs(q - low - tall * 0.65) / 0.05, 0, 1),
        )
        tone = cells(np.floor(a / bay), np.floor(b / storey), 13)
        gloss = np.clip((q - low) / tall, 0, 1) * 0.5 + 0.35 + 0.5 * tone
        drawn = mix(tint(glass, gloss), frame[None], bar * fade(s, 0.1))
        upright = (s.face != 1) & (b < 2 * s.half[1] - 0.4)
        out = np.where(upright[:, None], mix(mix(out, frame[None], edge), drawn, pane), out)
        base = (b < 0.6) & (s.face != 1)
        out[base] *= 0.7
        return out

    return colour


def boards(rgb: Float, wide: float = 0.14) -> Colour:
    """A board fence: upright planks with dark gaps and two rails."""
    base = plain(rgb, 0.08, 0.03)

    def colour(s: Surface) -> Float:
        out = base(s)
        tone = cells(s.u / wide, s.u * 0, 41)
        near = fade(s, wide / 2)
        gap = line(s.u, wide, 0.03) * near + (1 - near) * 0.12
        grain = smooth(s.u * 90, s.v * 7, 3) - 0.5
        gain = 0.9 + (0.3 * tone - 0.1) * near + 0.25 * grain * fade(s, 0.03)
        return tint(out, gain * (1 - 0.75 * gap))

    return colour


def road(rgb: Float, lanes: list[tuple[float, float]], edge: list[float]) -> Colour:
    """Asphalt with dashed lines at `lanes` (x, phase) and solid ones at x of `edge`, metres."""
    paint = np.array([0.88, 0.88, 0.84], np.float32)

    def colour(s: Surface) -> Float:
        stone = smooth(s.x * 65, s.z * 65, 3) - 0.5
        patch = smooth(s.x * 1.3, s.z * 0.35, 5) - 0.5
        wear = np.clip(1 - np.abs(np.abs(s.x) - 1.0) * 2, 0, 1) * 0.05
        out = tint(rgb, 1 + 0.42 * stone * fade(s, 0.03) + 0.2 * patch + wear)
        marks = np.zeros_like(s.x)
        soft = np.maximum(s.pixel, 0.01)
        for x, phase in lanes:
            on = np.mod(s.z + phase, 9.0) < 3.6
            marks = np.maximum(
                marks,
                np.where(on, np.clip((0.08 - np.abs(s.x - x)) / soft + np.float32(0.5), 0, 1), 0),
            )
        for x in edge:
            marks = np.maximum(marks, np.clip((0.07 - np.abs(s.x - x)) / soft + 0.5, 0, 1))
        worn = np.clip(smooth(s.x * 14, s.z * 14, 4) * 2, 0.55, 1)
        return mix(out, paint[None], (marks * worn).astype(np.float32))

    return colour


def sign(face: Float, mark: Float, kind: int) -> Colour:
    """A traffic sign's plate: a coloured face with a rim and a simple mark."""

    def colour(s: Surface) -> Float:
        wide, tall = s.half[0], s.half[1]
        x, y = s.x / wide, s.y / tall
        rim = np.maximum(np.abs(x), np.abs(y)) > 0.88
        if kind == 0:
            drawn = (np.abs(x) < 0.2) & (y < 0.35) & (y > -0.6) | (np.abs(x) < 0.75 - y) & (
                y > 0.1
            ) & (y < 0.75)
        elif kind == 1:
            drawn = np.mod(y * 2.2 + 9, 1) < 0.42
            drawn &= np.abs(x) < 0.72
        else:
            drawn = np.abs(np.hypot(x, y) - 0.5) < 0.16
        out = np.where((rim | drawn)[:, None], mark, face)
        back = np.array([0.4, 0.4, 0.42], np.float32)
        return np.where((s.z < 0)[:, None], out, back).astype(np.float32)

    return colour
