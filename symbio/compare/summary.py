"""The summary that is printed."""

from __future__ import annotations

from collections.abc import Sequence

from symbio.compare.comparison import Comparison
from symbio.compare.told import direction, interval, shown, verdict
from symbio.status.table import aligned


def summary(comparison: Comparison) -> str:
    """Who is compared, what must be known, and a table of metrics for each but the first."""
    first, *others = comparison.subjects
    measured = comparison.measured
    what = f"{measured['protocol']}, {measured['num_images']} frames of {measured['split']}"
    lines = [f"compared with {first.title} ({first.uri}), by {what}"]
    lines += [f"  {note}" for note in comparison.notes]
    for number, other in enumerate(others):
        rows: list[Sequence[str]] = [
            ("", first.title, other.title, "gain", "95 % interval of the gain")
        ]
        for metric in comparison.metrics:
            gain = metric.gains[number]
            values = (metric.values[0], metric.values[number + 1])
            cells = (direction(metric), *map(shown, values), verdict(gain), interval(gain))
            rows.append(cells)
        lines += ["", *aligned(rows)]
    return "\n".join(lines)
