"""Numbers and params in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symbio.search.page.svg import number

_MINUTES_FROM_S, _HOURS_FROM_S = 120, 5400


def told(value: object) -> str:
    """A cell: nothing for None, four digits for a float, JSON's words for truth."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return number(value) if isinstance(value, float) else str(value)


def changes_told(changes: Mapping[str, Any]) -> str:
    """Dotted keys and their values, in one line."""
    return ", ".join(f"{key} {told(value)}" for key, value in changes.items())


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < _MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < _HOURS_FROM_S else f"{seconds / 3600:.1f} h"


def signed(difference: float) -> str:
    """A difference to three digits, its sign always told."""
    return f"{difference:+.3g}"


def between(low: float, high: float) -> str:
    """The interval of a difference."""
    return f"[{signed(low)},\N{NO-BREAK SPACE}{signed(high)}]"


def change(difference: float, reference: float) -> str:
    """A difference as a share of what it is a difference to: "2.9 % lower"."""
    way = "lower" if difference < 0 else "higher"
    return f"{abs(100 * difference / reference):.1f} % {way}" if reference else way


def counted(count: int, one: str) -> str:
    """ "1 trial", "2 trials"."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
