"""infra/images/checkout.sh: a volume is filled once, and never over somebody's work."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.infra.files import INFRA

SCRIPT = INFRA / "images" / "checkout.sh"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """What the image holds, in small."""
    folder = tmp_path / "image"
    for name, text in {
        "dvc.yaml": "stages: {}\n",
        "params.yaml": "seed: 7\n",
        "requirements.lock": "x==1\n",
        ".gitignore": "*.part\n/data/\n",
        ".dvc/config": "[core]\n",
        "symbio/cli.py": "pass\n",
        "flows/train.py": "pass\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "project").mkdir()
    return folder


def fill(image: Path) -> str:
    done = subprocess.run(
        ["sh", str(SCRIPT), str(image), str(image.parent / "project")],
        # As in the container: nobody's git settings.
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_an_empty_volume_becomes_a_repository_of_the_image(image: Path) -> None:
    project = image.parent / "project"
    (project / "lost+found").mkdir()
    assert "filled" in fill(image)
    files = [path.relative_to(image) for path in image.rglob("*") if path.is_file()]
    for path in files:
        assert (project / path).read_bytes() == (image / path).read_bytes()
    assert set(git(project, "ls-files").split()) == {str(path) for path in files}
    assert git(project, "status", "--porcelain") == ""
    # Flows make worktrees of it.
    git(project, "worktree", "add", "--detach", str(image.parent / "tree"), "HEAD")


def test_a_volume_with_a_project_is_left_alone_and_differences_are_told(image: Path) -> None:
    project = image.parent / "project"
    fill(image)
    (project / "params.yaml").write_text("seed: 8\n")
    (project / "symbio" / "__pycache__").mkdir()
    commit = git(project, "rev-parse", "HEAD")
    assert fill(image) == ""
    (image / "symbio" / "cli.py").write_text("newer\n")
    assert "symbio is not the image's" in fill(image)
    assert (project / "params.yaml").read_text() == "seed: 8\n"
    assert (project / "symbio" / "cli.py").read_text() == "pass\n"
    assert git(project, "rev-parse", "HEAD") == commit


def test_a_fill_that_was_cut_short_is_done_again(image: Path) -> None:
    project = image.parent / "project"
    # As after the end of a pod in the middle of the copy.
    (project / ".checkout.part").touch()
    (project / "dvc.yaml").write_text("stag")
    assert "filled" in fill(image)
    assert (project / "dvc.yaml").read_text() == "stages: {}\n"
    assert not (project / ".checkout.part").exists()
    assert git(project, "status", "--porcelain") == ""
