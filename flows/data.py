"""The DVC remote: what a machine lacks comes from there, what it makes goes there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from flows.stage import run_verb

REMOTE_VARIABLE = "SYMBIO_DVC_REMOTE"
"""Environment variable: URL of the remote, for example s3://symbio-data/dvc."""


def check_reach(root: Path) -> None:
    """Fail before any work if tracking store, artifacts or remote cannot be reached and written."""
    run_verb(root, "reach", ["symbio", "reach"])


def pull(root: Path, stages: Sequence[str]) -> None:
    """Fetch what dvc.lock names and this machine lacks; nothing without a remote."""
    if REMOTE_VARIABLE in os.environ:
        run_verb(root, "pull", ["python", "-m", "symbio.reach", "pull", *stages])


def push(root: Path, stages: Sequence[str]) -> None:
    """Store what the stages made; nothing without a remote."""
    if REMOTE_VARIABLE in os.environ:
        run_verb(root, "push", ["python", "-m", "symbio.reach", "push", *stages])
