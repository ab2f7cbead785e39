"""Fixtures of the tests of prepare."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prepare.preparing import Preparer


@pytest.fixture
def preparer(tmp_path: Path) -> Preparer:
    """A temporary raw folder, and prepare to be run on it."""
    return Preparer(tmp_path)
