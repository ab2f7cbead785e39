"""The Pareto front of a search with several objectives: a chart for each pair of them."""

from __future__ import annotations

from itertools import combinations

from symbio.search.page.svg import BLUE, FAINT, ORANGE, Canvas, Scale, axes, number, scale_of
from symbio.search.result import Result

_SIZE = 380


def front(result: Result) -> str | None:
    """Finished trials by two objectives each; those of the front in blue, with their numbers."""
    rows, best = result.finished, {row.number for row in result.front}
    if not rows:
        return None
    pairs = list(combinations(range(len(result.objectives)), 2))
    canvas = Canvas(len(pairs) * _SIZE + 20, _SIZE)
    for place, (across, up) in enumerate(pairs):
        left = place * _SIZE
        x = scale_of([row.values[across] for row in rows], left + 64, left + _SIZE - 20, room=0.1)
        y = scale_of([row.values[up] for row in rows], _SIZE - 56, 40, room=0.1)
        axes(canvas, x, y, _label(result, across), _label(result, up))
        if len(result.objectives) == 2:
            _edge(canvas, x, y, result)
        for row in rows:
            told = ", ".join(
                f"{one.metric} {number(value)}"
                for one, value in zip(result.objectives, row.values, strict=True)
            )
            at = x.at(row.values[across]), y.at(row.values[up])
            chosen = row.number in best
            colour = ORANGE if row is result.default else BLUE if chosen else FAINT
            canvas.dot(*at, colour, 4.5, f"trial {row.number}: {told}", hollow=not chosen)
            if chosen:
                canvas.text(at[0] + 7, at[1] - 6, str(row.number), colour=colour)
    return canvas.svg()


def _edge(canvas: Canvas, x: Scale, y: Scale, result: Result) -> None:
    """The stairs between the front and what no trial reached."""
    points: list[tuple[float, float]] = []
    for first, second in sorted(row.values for row in result.front):
        at = x.at(first), y.at(second)
        if points:
            # The corner has the worse value of either neighbour.
            before = points[-1]
            higher = result.objectives[0].higher_is_better
            points.append((before[0], at[1]) if higher else (at[0], before[1]))
        points.append(at)
    if len(points) > 1:
        canvas.line(points, BLUE, 1, "3 3")


def _label(result: Result, place: int) -> str:
    one = result.objectives[place]
    return f"{one.metric} ({'higher' if one.higher_is_better else 'lower'} is better)"
