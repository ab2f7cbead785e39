"""A worker elsewhere: it has git, the remote's URL and keys, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import environment, make_project, run
from tests.reach.object_store import ObjectStore
from tests.reach.small_project import contents


@pytest.mark.slow
def test_a_clone_gets_the_data_and_has_nothing_to_do(
    tmp_path: Path, store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", f"s3://{bucket}/dvc")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    first, second = make_project(tmp_path / "first"), tmp_path / "second"
    run(first, "dvc", "repro", "prepare@nyu")
    stages = ("sample@nyu", "prepare@nyu")
    run(first, sys.executable, "-m", "symbio.reach", "push", *stages)
    run(first, "git", "add", "dvc.lock")
    run(first, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "prepared")

    subprocess.run(["git", "clone", "-q", str(first), str(second)], check=True)
    assert not (second / "data").exists()
    assert not (second / ".dvc" / "cache").exists()
    run(second, sys.executable, "-m", "symbio.reach", "pull", *stages)
    assert "up to date" in run(second, "dvc", "status", "prepare@nyu")
    assert "Running stage" not in run(second, "dvc", "repro", "prepare@nyu")
    mine, theirs = (
        contents(one, "data/sample/nyu", "data/prepared/nyu") for one in (second, first)
    )
    assert len(mine) > 5
    assert mine == theirs
    assert environment(second)["AWS_SECRET_ACCESS_KEY"] not in tracked(second)


def tracked(project: Path) -> str:
    """All that git or DVC's configuration of the project holds."""
    names = run(project, "git", "ls-files").split("\n")
    files = [project / name for name in names if name] + list((project / ".dvc").glob("config*"))
    return os.linesep.join(path.read_text(errors="replace") for path in files if path.is_file())
