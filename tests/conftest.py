"""For every test: threads that wait asleep, nothing reported to anybody, and its place in a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.examined_once import examined_once

# Before torch is imported: see symbio.cli.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

_HERE = Path(__file__).parent
_TIMED = (
    "flows/test_platform.py",
    "hosts",
    "ranks",
    "status",
    "tracking/test_outage.py",
    "train/test_checkpoint_async.py",
    "train/test_clock.py",
    "train/test_launch.py",
)
"""Folders and files whose slow tests must not run beside others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must run alone."""
    for item in items:
        if any(item.path.is_relative_to(_HERE / name) for name in _TIMED):
            item.add_marker(pytest.mark.timed)


@pytest.fixture(autouse=True)
def _examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of the same weights are measured and exported once, however often they register."""
    # Where nothing has imported it, nothing registers in this process.
    register = sys.modules.get("symbio.register.register")
    if register is not None:
        monkeypatch.setattr(register, "examine", examined_once)
