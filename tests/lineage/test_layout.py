"""Boxes of a drawing: no two overlap, lines run from left to right and pass between boxes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from symbio.lineage.layout import Layout, Spacing, laid_out

SPACING = Spacing(width=100.0, across=40.0, down=10.0, line=6.0)


def graph(seed: int) -> tuple[dict[str, list[str]], dict[str, float]]:
    """A random graph without circles, and a height for each of its boxes."""
    draw = np.random.default_rng(seed)
    names = [f"n{number}" for number in range(draw.integers(1, 14))]
    sources = {
        name: [one for one in names[:place] if draw.random() < 0.3]
        for place, name in enumerate(names)
    }
    return sources, {name: float(draw.integers(20, 90)) for name in names}


@pytest.mark.parametrize("seed", range(40))
def test_any_graph_is_drawn_without_collisions(seed: int) -> None:
    sources, heights = graph(seed)
    layout = laid_out(sources, heights, SPACING)
    boxes = {
        key: (x, y, x + SPACING.width, y + heights[key]) for key, (x, y) in layout.corners.items()
    }
    assert boxes.keys() == sources.keys()
    for one, other in combinations(boxes.values(), 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for left, top, right, bottom in boxes.values():
        assert left >= 0
        assert top >= -1e-9
        assert right <= layout.width + 1e-9
        assert bottom <= layout.height + 1e-9
    _lines_are_right(layout, sources, boxes)


def _lines_are_right(
    layout: Layout,
    sources: dict[str, list[str]],
    boxes: dict[str, tuple[float, float, float, float]],
) -> None:
    ends = []
    for key, froms in sources.items():
        for source in froms:
            _, top, right, bottom = boxes[source]
            left, over, _, under = boxes[key]
            ends.append(((right, (top + bottom) / 2), (left, (over + under) / 2)))
    assert sorted((line[0], line[-1]) for line in layout.lines) == sorted(ends)
    for line in layout.lines:
        xs = [x for x, _ in line]
        assert xs == sorted(xs), "from left to right"
        # Straight parts run across columns: there no box may be in the way.
        for (x, y), (to_x, to_y) in zip(line[1:-1:2], line[2:-1:2], strict=True):
            assert y == to_y
            for left, top, right, bottom in boxes.values():
                assert to_x <= left or right <= x or not top < y < bottom


def test_a_box_stands_beside_what_is_made_of_it() -> None:
    sources = {"raw": [], "prepared": ["raw"], "labels": ["prepared"], "code": [],
               "training": ["prepared", "labels", "code"]}  # fmt: skip
    corners = laid_out(sources, dict.fromkeys(sources, 30.0), SPACING).corners
    step = SPACING.width + SPACING.across
    columns = {key: x / step for key, (x, _) in corners.items()}
    assert columns == {"raw": 0, "prepared": 1, "labels": 2, "code": 2, "training": 3}
