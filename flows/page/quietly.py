"""Showing something without ever disturbing the work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def in_a_run() -> bool:
    """Whether the caller is a flow or a task, so that there is a page to show anything on."""
    from prefect.context import get_run_context
    from prefect.exceptions import MissingContextError

    try:
        get_run_context()
    except MissingContextError:
        return False
    return True


@contextlib.contextmanager
def shown_if_possible(what: str) -> Iterator[None]:
    """Log, and go on after, whatever keeps `what` from being shown; only in a run."""
    from prefect import get_run_logger

    try:
        yield
    except Exception as error:
        # Prefect's client fails in many types: HTTP, connection, its own.
        get_run_logger().warning("%s: not shown (%s: %s)", what, type(error).__name__, error)
