"""The table that is printed where several protocols were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symbio.status.table import aligned

_COLUMNS = ("abs_rel", "rmse", "log10", "silog", "d1", "official_silog", "irmse", "truth_miou")


def protocols_table(results: Sequence[Mapping[str, Any]], why_not: Mapping[str, str]) -> str:
    """A line for each result, and one for each protocol that could not be had.

    Args:
        results: contents of metrics files, of one network on one split.
        why_not: name of a protocol -> why it is not defined on these frames.
    """
    columns = [name for name in _COLUMNS if any(name in one["trained"] for one in results)]
    rows: list[Sequence[str]] = [("protocol", *columns, "average")]
    for one in results:
        cells = [_shown(one["trained"], name) for name in columns]
        rows.append((named(one), *cells, str(one["aggregation"])))
    lines = aligned(rows)
    lines += [f"{name}: not scored: {reason}" for name, reason in why_not.items()]
    lines.append("Numbers of two protocols are not comparable with each other.")
    return "\n".join(lines)


def named(metrics: Mapping[str, Any]) -> str:
    """What a measurement is called: its protocol, and whether mirrored views were averaged in."""
    return f"{metrics['protocol']}{' +flip' if metrics.get('flip') else ''}"


def _shown(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "-"
    return "nan" if values[name] is None else f"{values[name]:.4f}"
