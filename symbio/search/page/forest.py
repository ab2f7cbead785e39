"""Differences to the baseline with their intervals, one line a variant."""

from __future__ import annotations

from symbio.search.page.svg import FAINT, GREEN, INK, RED, Canvas, Point, scale_of, x_axis
from symbio.search.page.values import between, signed
from symbio.search.statistics.compare import BETTER, WORSE, Compared, Comparison

_LINE = 30
_COLOURS = {BETTER: GREEN, WORSE: RED}


def forest(comparison: Comparison) -> str | None:
    """A large dot for the mean difference, small ones for each seed's, a line over the interval."""
    shown = [one for one in comparison.variants if one.by_seed]
    if not shown:
        return None
    bottom = len(shown) * _LINE + 10.0
    canvas = Canvas(860, bottom + 50)
    x = scale_of([0.0, *(value for one in shown for value in _values(one))], 190, 640)
    x_axis(canvas, x, bottom, 6, f"{comparison.metric} less that of {comparison.baseline}")
    canvas.line([(x.at(0), bottom), (x.at(0), 6)], INK, 1.5)
    for place, one in enumerate(shown):
        y, colour = 6 + (place + 0.4) * _LINE, _COLOURS.get(one.kind, INK)
        canvas.text(182, y + 4, one.variant, "end")
        if one.difference is not None:
            low, high = one.difference.interval.low, one.difference.interval.high
            told = f"{one.variant}: {signed(one.difference.mean)} {between(low, high)}"
            ends: list[Point] = [(x.at(low), y), (x.at(high), y)]
            canvas.line(ends, colour, 2.5, told=told)
            canvas.dot(x.at(one.difference.mean), y, colour, 5, told)
        for seed, value in one.by_seed.items():
            canvas.dot(x.at(value), y + 9, FAINT, 2, f"{one.variant}, seed {seed}: {signed(value)}")
        canvas.text(652, y + 4, one.kind or "no difference shown", colour=colour)
    return canvas.svg()


def _values(one: Compared) -> list[float]:
    if one.difference is None:
        return [*one.by_seed.values()]
    return [one.difference.interval.low, one.difference.interval.high, *one.by_seed.values()]
