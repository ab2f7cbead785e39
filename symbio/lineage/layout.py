"""Where the boxes of a drawing stand: columns from what is made of nothing to what is made last.

After Sugiyama et al. (1981), for graphs of a dozen boxes: every box stands as near as can be to
what is made of it; a line that passes a column gets a gap between its boxes; boxes are ordered by
the mean place of their neighbours, so that few lines cross.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SWEEPS = 4

Slot = tuple[str, int]
"""A box, or the line that leaves it where it passes a column: key and column."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Pixels."""

    width: float
    """Of a box."""
    across: float
    """Between columns."""
    down: float
    """Between boxes of a column."""
    line: float
    """Room of a line that passes a column."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in pixels; y grows downwards."""

    width: float
    height: float
    corners: dict[str, tuple[float, float]]
    """Key -> upper left corner of its box."""
    lines: tuple[tuple[tuple[float, float], ...], ...]
    """Points of each line, from the right side of a box to the left side of one made of it. Pairs
    of points are joined by curves and, across a column, by straight lines."""


def laid_out(
    sources: Mapping[str, Sequence[str]], heights: Mapping[str, float], spacing: Spacing
) -> Layout:
    """Place boxes.

    Args:
        sources: key of each box -> keys of those that it is made of, which stand before it.
        heights: of the boxes, pixels.
        spacing: the other sizes.
    """
    column = _columns(sources)
    slots = _ordered(_slots(sources, column), sources, column)
    tall = {slot: heights[slot[0]] if column[slot[0]] == slot[1] else spacing.line
            for one in slots for slot in one}  # fmt: skip
    totals = [sum(tall[slot] for slot in one) + spacing.down * (len(one) - 1) for one in slots]
    height = max(totals, default=0.0)
    top: dict[Slot, float] = {}
    for one, total in zip(slots, totals, strict=True):
        y = (height - total) / 2
        for slot in one:
            top[slot] = y
            y += tall[slot] + spacing.down
    step = spacing.width + spacing.across
    middle = {slot: y + tall[slot] / 2 for slot, y in top.items()}
    lines = []
    for key, froms in sources.items():
        for source in froms:
            points = [(column[source] * step + spacing.width, middle[source, column[source]])]
            for between in range(column[source] + 1, column[key]):
                y = middle[source, between]
                points += [(between * step, y), (between * step + spacing.width, y)]
            lines.append((*points, (column[key] * step, middle[key, column[key]])))
    corners = {key: (column[key] * step, top[key, column[key]]) for key in sources}
    width = len(slots) * step - spacing.across
    return Layout(max(width, 0.0), height, corners, tuple(lines))


def _columns(sources: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Column of each box: the last one before all that is made of it."""
    depth: dict[str, int] = {}
    for key, froms in sources.items():
        depth[key] = 1 + max((depth[one] for one in froms), default=-1)
    last = max(depth.values(), default=0)
    column: dict[str, int] = {}
    for key in reversed(list(sources)):
        users = [column[one] for one, froms in sources.items() if key in froms]
        column[key] = min(users) - 1 if users else last
    return column


def _slots(sources: Mapping[str, Sequence[str]], column: Mapping[str, int]) -> list[list[Slot]]:
    """What stands in each column, in the order of `sources`."""
    slots: list[list[Slot]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for key in sources:
        users = [column[one] for one, froms in sources.items() if key in froms]
        for place in range(column[key], max(users, default=column[key] + 1)):
            slots[place].append((key, place))
    return slots


def _ordered(
    slots: list[list[Slot]], sources: Mapping[str, Sequence[str]], column: Mapping[str, int]
) -> list[list[Slot]]:
    """The same columns with few crossings."""
    before: dict[Slot, list[Slot]] = {slot: [] for one in slots for slot in one}
    after: dict[Slot, list[Slot]] = {slot: [] for one in slots for slot in one}

    def join(left: Slot, right: Slot) -> None:
        if left not in before[right]:
            before[right].append(left)
            after[left].append(right)

    for key, froms in sources.items():
        for source in froms:
            for place in range(column[source] + 1, column[key]):
                join((source, place - 1), (source, place))
            join((source, column[key] - 1), (key, column[key]))
    for _ in range(_SWEEPS):
        for places, neighbours in ((range(1, len(slots)), before), (_back(slots), after)):
            for place in places:
                slots[place] = _by_neighbours(slots, place, neighbours)
    return slots


def _back(slots: Sequence[object]) -> range:
    return range(len(slots) - 2, -1, -1)


def _by_neighbours(
    slots: list[list[Slot]], place: int, neighbours: Mapping[Slot, list[Slot]]
) -> list[Slot]:
    """A column by the mean place of what its slots are joined to; one without stays in place."""
    share = {slot: (n + 0.5) / len(one) for one in slots for n, slot in enumerate(one)}

    def mean(slot: Slot) -> float:
        found = [share[one] for one in neighbours[slot]]
        return sum(found) / len(found) if found else share[slot]

    return sorted(slots[place], key=mean)
