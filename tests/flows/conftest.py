"""Projects for tests of flows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import make_project, run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose NYU sample is prepared; copy it before changing it."""
    project = make_project(tmp_path_factory.mktemp("made") / "project")
    run(project, "dvc", "repro", "--quiet", "prepare@nyu")
    return project
