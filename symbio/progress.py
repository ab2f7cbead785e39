"""Progress of long work, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from symbio.tell import tell_progress

T = TypeVar("T")

_PLAIN_INTERVAL_S = 10.0


def say(message: str) -> None:
    """Tell the user one line."""
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` under a progress bar with time left; plain lines where there is no terminal.

    Whoever started the command is told as well (`symbio.tell`).
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    shown = _bar(items, what, total) if sys.stderr.isatty() else _lines(items, what, total)
    return _told(shown, what, total)


def _told(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    done = 0
    tell_progress(what, done, total)
    for item in items:
        yield item
        done += 1
        tell_progress(what, done, total)
    if total is None:
        tell_progress(what, done, done)


def _bar(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(items, total=total, description=what)


def _lines(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    start = said = time.monotonic()
    count = 0
    for item in items:
        yield item
        count += 1
        now = time.monotonic()
        if now - said >= _PLAIN_INTERVAL_S and count != total:
            said = now
            left = f", {(now - start) / count * (total - count):.0f} s left" if total else ""
            say(f"{what}: {count}/{total if total else '?'} in {now - start:.0f} s{left}")
    say(f"{what}: {count} done in {time.monotonic() - start:.1f} s")
