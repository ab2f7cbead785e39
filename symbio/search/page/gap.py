"""How much worse variants are on frames that they never saw: one line each."""

from __future__ import annotations

from collections.abc import Mapping

from symbio.search.page.svg import BLUE, FAINT, ORANGE, Canvas, number, scale_of, x_axis

SPLITS = {"train": FAINT, "val": BLUE, "test": ORANGE}
_LINE = 26


def gap(means: Mapping[str, Mapping[str, float]], label: str) -> str:
    """Dots for the mean on each split, joined.

    Args:
        means: name of a variant or a trial -> split -> mean.
        label: of the axis.
    """
    canvas = Canvas(760, len(means) * _LINE + 80)
    bottom = len(means) * _LINE + 34
    values = [value for row in means.values() for value in row.values()]
    x = scale_of(values, 190, 740)
    x_axis(canvas, x, bottom, 30, label)
    for place, (split, colour) in enumerate(SPLITS.items()):
        canvas.dot(196 + 80 * place, 14, colour, 4)
        canvas.text(206 + 80 * place, 18, split)
    for place, (name, row) in enumerate(means.items()):
        y = 34 + (place + 0.4) * _LINE
        canvas.text(182, y + 4, name, "end")
        canvas.line([(x.at(min(row.values())), y), (x.at(max(row.values())), y)], FAINT, 1)
        for split, colour in SPLITS.items():
            if split in row:
                told = f"{name}, {split}: {number(row[split])}"
                canvas.dot(x.at(row[split]), y, colour, 4.5, told)
    return canvas.svg()
