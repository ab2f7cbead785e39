"""How a search went: the first objective of each trial, and the best so far."""

from __future__ import annotations

from symbio.search.page.svg import BLUE, FAINT, ORANGE, Canvas, axes, number, scale_of
from symbio.search.result import FINISHED, Result


def history(result: Result) -> str | None:
    """A dot for each trial by number, and a line through the best of those so far."""
    rows = [row for row in result.rows if row.score is not None]
    if not result.finished:
        return None
    canvas = Canvas(760, 300)
    x = scale_of([row.number for row in result.rows], 70, 740)
    y = scale_of([row.values[0] for row in rows], 250, 30)
    axes(canvas, x, y, "trial", f"{result.metric}, val split")
    sign = -1.0 if result.objectives[0].higher_is_better else 1.0
    steps: list[tuple[float, float]] = []
    best = None
    for row in result.finished:
        if best is None or sign * row.values[0] < sign * best:
            if best is not None:
                steps.append((x.at(row.number), y.at(best)))
            best = row.values[0]
            steps.append((x.at(row.number), y.at(best)))
    steps.append((x.at(result.rows[-1].number), steps[-1][1]))
    canvas.line(steps, BLUE, 1.5)
    for row in rows:
        done = row.state == FINISHED
        colour = ORANGE if row is result.default else BLUE if done else FAINT
        told = f"trial {row.number}, {row.state}: {number(row.values[0])}"
        canvas.dot(x.at(row.number), y.at(row.values[0]), colour, 4, told, hollow=not done)
    return canvas.svg()
