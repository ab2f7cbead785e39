"""The DVC remote: what a machine lacks comes from there, what it makes goes there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.stage import run_verb
from symbio.reach.remote import find_remote


def check_reach(root: Path) -> None:
    """Fail before any work if tracking store, artifacts or remote cannot be reached and written."""
    run_verb(root, "reach", ["symbio", "reach"])


def pull(root: Path, stages: Sequence[str]) -> None:
    """Fetch what dvc.lock names and this machine lacks; nothing without a remote."""
    if find_remote(root) is not None:
        run_verb(root, "pull", ["python", "-m", "symbio.reach", "pull", *stages])


def push(root: Path, stages: Sequence[str]) -> None:
    """Store what the stages made; nothing without a remote."""
    if find_remote(root) is not None:
        run_verb(root, "push", ["python", "-m", "symbio.reach", "push", *stages])
