"""Parallel coordinates: the params of each trial of a search, and what came of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from symbio.params import DimensionParams
from symbio.search.page.svg import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    Canvas,
    Scale,
    number,
    scale_of,
)
from symbio.search.page.values import told
from symbio.search.result import FINISHED, Result, Row
from symbio.search.space import default_values

_TOP, _BOTTOM, _ABSENT = 50.0, 300.0, 336.0
_LEFT, _BETWEEN = 100.0, 150.0
_GOOD = 0.25
"""Share of the finished trials that is drawn as good."""


def parallel(result: Result) -> str | None:
    """A line for each trial, through its value on the axis of each parameter."""
    rows = [row for row in result.rows if row.score is not None]
    space = result.plan.params.search.space
    if not result.finished:
        return None
    canvas = Canvas(len(space) * _BETWEEN + 200, 360)
    places = {key: _LEFT + _BETWEEN * n for n, key in enumerate(space)}
    axes = {key: _Axis(dimension) for key, dimension in space.items()}
    last = _LEFT + _BETWEEN * len(space)
    score = scale_of([row.values[0] for row in rows], _BOTTOM, _TOP)
    # The better end is above, whichever it is.
    if not result.objectives[0].higher_is_better:
        score = Scale(score.low, score.high, _TOP, _BOTTOM)
    for row, colour, width in _in_order(result, rows):
        values = _values(result, row)
        points = [(places[key], axes[key].at(values.get(key))) for key in space]
        points.append((last, score.at(row.values[0])))
        drawn = ", ".join(f"{key} {told(value)}" for key, value in values.items())
        words = f"trial {row.number}, {row.state}, {number(row.values[0])}: {drawn}"
        canvas.line(points, colour, width, "" if row.state == FINISHED else "3 4", words)
    for n, (key, axis) in enumerate(axes.items()):
        _draw_axis(canvas, places[key], key, axis.marks(), 18 * (n % 2))
        if any(key not in _values(result, row) for row in rows):
            canvas.text(places[key], _ABSENT + 16, "not drawn", "middle", FAINT)
    marks = [(score.at(tick), number(tick)) for tick in score.ticks()]
    _draw_axis(canvas, last, f"{result.metric}, val", marks, 18 * (len(space) % 2))
    return canvas.svg()


class _Axis:
    """Where values of a parameter lie between the top and the bottom."""

    def __init__(self, dimension: DimensionParams) -> None:
        self._choices = [told(choice) for choice in dimension.choices]
        if not self._choices:
            low, high = float(dimension.low or 0), float(dimension.high or 0)
            self._scale = Scale(low, high, _BOTTOM, _TOP, dimension.log)
        else:
            # Room beside the first and the last choice; a single one is in the middle.
            self._scale = Scale(-0.5, len(self._choices) - 0.5, _BOTTOM, _TOP)

    def at(self, value: Any) -> float:
        if value is None:
            return _ABSENT
        return self._scale.at(self._choices.index(told(value)) if self._choices else value)

    def marks(self) -> list[tuple[float, str]]:
        if self._choices:
            return [(self._scale.at(n), choice) for n, choice in enumerate(self._choices)]
        return [(self._scale.at(tick), number(tick)) for tick in self._scale.ticks()]


def _values(result: Result, row: Row) -> Mapping[str, Any]:
    """What the trial had on each axis; that with the project's own params changes nothing."""
    if row is result.default:
        return default_values(result.plan)
    return row.changes


def _in_order(result: Result, rows: list[Row]) -> list[tuple[Row, str, float]]:
    """Rows with colour and width, those that matter last: they are drawn above the others."""
    sign = -1.0 if result.objectives[0].higher_is_better else 1.0
    ranked = sorted(result.finished, key=lambda row: sign * row.values[0])
    good = ranked[: math.ceil(len(ranked) * _GOOD)]
    found = []
    for row in rows:
        if row is result.best:
            found.append((4, row, BLUE, 3.0))
        elif row is result.default:
            found.append((3, row, ORANGE, 2.0))
        elif row in good:
            found.append((2, row, GREEN, 1.5))
        else:
            found.append((1 if row.state == FINISHED else 0, row, "#c4c4c4", 1.0))
    found.sort(key=lambda one: one[0])
    return [(row, colour, width) for _, row, colour, width in found]


def _draw_axis(
    canvas: Canvas, x: float, name: str, marks: list[tuple[float, str]], lower: float
) -> None:
    canvas.line([(x, _TOP), (x, _BOTTOM)], INK, 1)
    canvas.text(x, _TOP - 32 + lower, name, "middle", bold=True)
    for y, text in marks:
        canvas.line([(x - 3, y), (x + 3, y)], INK, 1)
        canvas.text(x + 6, y + 4, text, colour=INK)
