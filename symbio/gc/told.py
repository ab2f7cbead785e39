"""What `symbio gc` tells: how much stays and goes, what goes, and why the rest stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from symbio.gc.item import KINDS, Item
from symbio.status.table import aligned

_FIRST = 5
_REASONS = 6
_COLUMNS = ("stay", "", "go", "", "")


def table(items: Sequence[Item]) -> list[str]:
    """A line a kind: how many stay and go, and their size."""
    rows = []
    for kind, (stay, go) in _halves(items).items():
        rows.append((str(len(stay)), _size(stay), str(len(go)), _size(go), kind))
    whole = [one for one in items if one.why is None]
    rows.append(("", "", str(len(whole)), _size(whole), "in all"))
    return aligned([_COLUMNS, *rows])


def names(items: Sequence[Item]) -> list[str]:
    """What goes, by kind, the first few by name."""
    lines = []
    for kind, (_, go) in _halves(items).items():
        if go:
            more = f", and {len(go) - _FIRST} more" if len(go) > _FIRST else ""
            lines.append(f"  {kind}: {', '.join(one.name for one in go[:_FIRST])}{more}")
    return lines


def reasons(items: Sequence[Item]) -> list[str]:
    """Why the rest stays, by kind, the commonest reasons first."""
    lines = []
    for kind, (stay, _) in _halves(items).items():
        if stay:
            counts = Counter(str(one.why) for one in stay).most_common()
            told = ", ".join(f"{count} ({why})" for why, count in counts[:_REASONS])
            left = sum(count for _, count in counts[_REASONS:])
            lines.append(f"  {kind}: {told}" + (f", {left} for other reasons" if left else ""))
    return lines


def as_dict(items: Sequence[Item]) -> dict[str, dict[str, Any]]:
    """Kind -> stay and go (name -> reason, names), and their bytes."""
    return {
        kind: {
            "stay": {one.key: one.why for one in stay},
            "go": [one.key for one in go],
            "stay_bytes": sum(one.size or 0 for one in stay),
            "go_bytes": sum(one.size or 0 for one in go),
        }
        for kind, (stay, go) in _halves(items).items()
    }


def _halves(items: Sequence[Item]) -> dict[str, tuple[list[Item], list[Item]]]:
    """Kind -> what stays and what goes; kinds of which there is nothing are left out."""
    halves: dict[str, tuple[list[Item], list[Item]]] = {kind: ([], []) for kind in KINDS}
    for one in items:
        halves[one.kind][one.why is None].append(one)
    return {kind: two for kind, two in halves.items() if any(two)}


def _size(items: Sequence[Item]) -> str:
    if any(one.size is None for one in items):
        return "?"
    number, unit = float(sum(one.size or 0 for one in items)), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
