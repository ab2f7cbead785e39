"""Learning curves: the first objective on the val split, by step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from symbio.search.page.svg import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    Canvas,
    Scale,
    axes,
    number,
    scale_of,
)
from symbio.search.result import FINISHED, Result, Row

_COLUMNS, _PANEL_W, _PANEL_H = 4, 250, 190
_LOG_BEYOND = 5.0
"""Values of which the largest is this many times the smallest are drawn in the logarithm."""


def search_curves(result: Result) -> str | None:
    """All trials in one chart, the best and the project's own params in colour."""
    rows = [row for row in result.rows if row.curve]
    if not rows:
        return None
    canvas = Canvas(760, 360)
    x, y = _scales(rows, (70, 620), (310, 30))
    axes(canvas, x, y, "step", f"{result.metric}, val split")
    best, default = result.best, result.default
    for row in rows:
        if row not in (best, default):
            _draw(canvas, x, y, row, FAINT if row.state == FINISHED else "#c9c9c9")
    labels = []
    for one, colour, name in ((default, ORANGE, "project's own"), (best, BLUE, "best")):
        if one is not None and one.curve:
            _draw(canvas, x, y, one, colour, 2.5)
            labels.append((y.at(one.curve[-1][1]), f"trial {one.number}: {name}", colour))
    _write_apart(canvas, labels, x.end + 8)
    return canvas.svg()


def variant_curves(result: Result, baseline: str) -> str | None:
    """A panel for each variant: its seeds in blue before the baseline's in grey."""
    rows = [row for row in result.rows if row.curve]
    variants = [name for name in result.plan.variants if any(row.variant == name for row in rows)]
    if not variants:
        return None
    lines = math.ceil(len(variants) / _COLUMNS)
    columns = min(_COLUMNS, len(variants))
    canvas = Canvas(columns * _PANEL_W + 20, lines * _PANEL_H + 20)
    for place, variant in enumerate(variants):
        left, top = place % _COLUMNS * _PANEL_W, place // _COLUMNS * _PANEL_H
        x, y = _scales(rows, (left + 56, left + _PANEL_W - 8), (top + _PANEL_H - 30, top + 34))
        axes(canvas, x, y)
        canvas.text(left + 56, top + 24, variant, bold=True)
        for row in rows:
            if row.variant == baseline:
                _draw(canvas, x, y, row, FAINT, 1)
        for row in rows:
            if row.variant == variant:
                _draw(canvas, x, y, row, INK if variant == baseline else BLUE)
    return canvas.svg()


def _scales(
    rows: Sequence[Row], across: tuple[float, float], up: tuple[float, float]
) -> tuple[Scale, Scale]:
    steps = [step for row in rows for step, _ in row.curve]
    values = [value for row in rows for _, value in row.curve]
    log = min(values) > 0 and max(values) / min(values) > _LOG_BEYOND
    return scale_of([0, *steps], *across, room=0.02), scale_of(values, *up, log=log)


def _draw(canvas: Canvas, x: Scale, y: Scale, row: Row, colour: str, width: float = 1.5) -> None:
    who = f"trial {row.number}" if row.seed is None else f"{row.variant}, seed {row.seed}"
    told = f"{who}, {row.state}: {number(row.curve[-1][1])} after step {row.curve[-1][0]}"
    points = [(x.at(step), y.at(value)) for step, value in row.curve]
    over = row.state == FINISHED
    if len(points) > 1:
        canvas.line(points, colour, width, "" if over else "4 3", told)
    canvas.dot(*points[-1], colour, 2.5, told, hollow=not over)


def _write_apart(
    canvas: Canvas, labels: Sequence[tuple[float, str, str]], x: float, line: float = 15
) -> None:
    """Texts beside their heights, moved apart where they would overlap."""
    below = -math.inf
    for height, text, colour in sorted(labels):
        below = max(height + 4, below + line)
        canvas.text(x, below, text, colour=colour)
