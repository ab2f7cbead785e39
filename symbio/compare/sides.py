"""Classes and ranges of depth side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symbio.compare.measured import Measured

RANGE_METRICS = ("abs_rel", "rmse", "d1")

Row = dict[str, Any]


def classes_compared(measured: Sequence[Measured], labels: str) -> list[Row]:
    """One row a class that occurs for one of them: name, iou (of each, None: not there), change.

    `change` is each one's difference to the first, None where one of the two has none. Those that
    change most come first.

    Args:
        measured: of each subject, measured alike.
        labels: "truth" or "pseudo".

    Returns:
        Rows; none where one of them has no table of classes.
    """
    if any(one.iou is None for one in measured):
        return []
    tables = [
        {name: iou for (kind, name), iou in (one.iou or {}).items() if kind == labels}
        for one in measured
    ]
    rows = []
    for name in dict.fromkeys(name for table in tables for name in table):
        iou = [table.get(name) for table in tables]
        rows.append({"class": name, "iou": iou, "change": changes(iou)})
    return sorted(rows, key=lambda row: -_most(row["change"]))


def ranges_compared(measured: Sequence[Measured]) -> list[Row]:
    """One row a range of true depth: from_m, to_m (None: no end), pixels, and each metric's values.

    A metric is {"values": of each, "change": each one's difference to the first}.

    Returns:
        Rows from near to far; none where one of them has no such table, or other ranges.
    """
    tables = [one.ranges for one in measured]
    first = tables[0]
    if first is None or any(table is None or table.keys() != first.keys() for table in tables):
        return []
    rows: list[Row] = []
    for (low, high), told in first.items():
        row: Row = {"from_m": low, "to_m": None if high == float("inf") else high}
        row["pixels"] = told.pixels
        for name in RANGE_METRICS:
            values = [(table or {})[(low, high)].values[name] for table in tables]
            # One NaN among an image's predictions makes its sums NaN.
            finite = [None if value != value else value for value in values]
            row[name] = {"values": finite, "change": changes(finite)}
        rows.append(row)
    return rows


def changes(values: Sequence[float | None]) -> list[float | None]:
    """Each one's difference to the first, without the first."""
    first, *others = values
    return [None if None in (first, one) else one - first for one in others]  # type: ignore[operator]


def _most(change: Sequence[float | None]) -> float:
    return max((abs(one) for one in change if one is not None), default=0.0)
