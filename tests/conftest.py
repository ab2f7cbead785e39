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
_LONG = (
    "test_pipeline.py",
    "search/test_search.py",
    "test_interrupt.py",
    "platform/test_access.py",
    "platform/test_stack.py",
    "train/test_resume.py",
    "train/test_universal.py",
    "register/test_serving.py",
)
"""Files that take longest: begun first, so that no worker ends with one of them alone."""
_LONG_PATHS = {_HERE / name for name in _LONG}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must run alone; put what takes long in front."""
    for item in items:
        if any(item.path.is_relative_to(_HERE / name) for name in _TIMED):
            item.add_marker(pytest.mark.timed)
    items.sort(key=lambda item: item.path not in _LONG_PATHS)


@pytest.fixture(autouse=True)
def _examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of the same weights are measured and exported once, however often they register."""
    # Where nothing has imported it, nothing registers in this process.
    register = sys.modules.get("symbio.register.register")
    if register is not None:
        monkeypatch.setattr(register, "examine", examined_once)
