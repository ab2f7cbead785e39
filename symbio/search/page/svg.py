"""Drawing by hand: shapes, scales and axes as inline SVG, the same bytes for the same numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

INK, FAINT, GRID = "#1c1c1c", "#9a9a9a", "#e4e4e4"
BLUE, ORANGE, GREEN, RED = "#0072b2", "#d55e00", "#009e73", "#b3261e"
"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008)."""

_TICKS = 5

Point = tuple[float, float]


class Canvas:
    """A drawing of a size in pixels; y grows downwards."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._shapes: list[str] = []

    def line(
        self, points: Sequence[Point], colour: str, width: float = 1.5, dash: str = "",
        told: str = "",
    ) -> None:  # fmt: skip
        """A line through points; `told` appears under the pointer."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._add(
            f'polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"{dashed} stroke-linejoin="round"',
            told,
        )

    def dot(
        self, x: float, y: float, colour: str, radius: float = 3.5, told: str = "",
        hollow: bool = False,
    ) -> None:  # fmt: skip
        """A filled or a hollow circle."""
        fill = (
            f'fill="white" stroke="{colour}" stroke-width="1.5"' if hollow else f'fill="{colour}"'
        )
        self._add(f'circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {fill}', told)

    def box(
        self, x: float, y: float, width: float, height: float, colour: str, told: str = ""
    ) -> None:
        """A filled rectangle from its upper left corner."""
        self._add(
            f'rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{colour}"',
            told,
        )

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", colour: str = INK,
        bold: bool = False, turned: bool = False,
    ) -> None:  # fmt: skip
        """Text whose baseline begins, has its middle, or ends (anchor) at a point."""
        weight = ' font-weight="bold"' if bold else ""
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}{turn}>'
            f"{html.escape(text)}</text>"
        )

    def svg(self) -> str:
        """The element, for a page."""
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" '
            'style="max-width: 100%; height: auto" font-family="system-ui, sans-serif" '
            'font-size="12" role="img">\n' + "\n".join(self._shapes) + "\n</svg>"
        )

    def _add(self, shape: str, told: str) -> None:
        if told:
            name = shape.split(" ", 1)[0]
            self._shapes.append(f"<{shape}><title>{html.escape(told)}</title></{name}>")
        else:
            self._shapes.append(f"<{shape}/>")


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from `low` to `high` on pixels from `start` to `end`, evenly or in the logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; beyond the ends it lies on them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """A few round numbers within."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1,) if self.high / self.low > 1e3 else (1, 2, 5)
            found = [factor * 10.0**decade for decade in decades for factor in factors]
            within = [tick for tick in found if self.low <= tick <= self.high]
            if len(within) > 1:
                return within
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        return [step * n for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_of(
    values: Sequence[float], start: float, end: float, log: bool = False, room: float = 0.05
) -> Scale:
    """A scale that holds `values` and a share `room` more at both ends; of none, from 0 to 1."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log and low > 0 and high > low:
        beside = (high / low) ** room
        return Scale(low / beside, high * beside, start, end, log=True)
    beside = (high - low) * room or abs(high) * 0.1 or 0.5
    return Scale(low - beside, high + beside, start, end)


def axes(canvas: Canvas, x: Scale, y: Scale, x_label: str = "", y_label: str = "") -> None:
    """Grid lines, their numbers, and what they are of; `y.start` is the lower end."""
    for tick in y.ticks():
        canvas.line([(x.start, y.at(tick)), (x.end, y.at(tick))], GRID, 1)
        canvas.text(x.start - 6, y.at(tick) + 4, number(tick), "end", FAINT)
    x_axis(canvas, x, y.start, y.end, x_label)
    canvas.text(x.start, y.end - 10, y_label, colour=FAINT)


def x_axis(canvas: Canvas, x: Scale, low_y: float, high_y: float, label: str = "") -> None:
    """Vertical grid lines from `high_y` down to `low_y`, with their numbers below."""
    for tick in x.ticks():
        canvas.line([(x.at(tick), low_y), (x.at(tick), high_y)], GRID, 1)
        canvas.text(x.at(tick), low_y + 16, number(tick), "middle", FAINT)
    canvas.line([(x.start, low_y), (x.end, low_y)], FAINT, 1)
    canvas.text((x.start + x.end) / 2, low_y + 34, label, "middle", FAINT)


def number(value: float) -> str:
    """As short as four digits allow; -0.0 and rounding dust are 0."""
    return f"{0.0 if abs(value) < 1e-12 else value:.4g}"


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... at or above `step`."""
    decade = 10.0 ** math.floor(math.log10(step))
    return next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= step * 0.999)
