"""Against DVC itself: what it can check out before a sweep, it can check out after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gc.held import commit, git, objects_in, swept

_YAML = """\
stages:
  prepare:
    cmd:
    - mkdir -p out/nyu && cp source.txt out/nyu/own
    - echo same > out/nyu/same && echo 1 > m.json
    deps: [source.txt]
    outs: [out/nyu]
    metrics: [{m.json: {cache: false}}]
"""


def _dvc(root: Path, *arguments: str) -> str:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_every_branch_and_tag_can_be_checked_out_and_dvc_has_nothing_more_to_remove(
    project: Path,
) -> None:
    (project / "dvc.yaml").write_text(_YAML)
    with (project / ".gitignore").open("a") as file:
        file.write("/out\n")
    for what in ("branch", "tag", "overwritten", "main"):
        (project / "source.txt").write_text(what)
        _dvc(project, "repro")
        commit(project, what)
        if what in ("branch", "tag"):
            git(project, what, f"a-{what}")
        if what == "overwritten":
            git(project, "reset", "-q", "--hard", "HEAD~1")
    before = objects_in(project)

    gone = swept(project)

    assert len(gone["DVC run cache"]) == 1
    assert len(before - objects_in(project)) == 2
    for ref in ("a-branch", "a-tag", "main"):
        git(project, "checkout", "-q", ref)
        _dvc(project, "checkout", "--quiet", "--force")
        assert (project / "out/nyu/own").read_text() == ref.removeprefix("a-")
        assert (project / "out/nyu/same").read_text() == "same\n"
    told = _dvc(project, "gc", "--force", "--dry", "-w", "-a", "-T")
    # Metrics that git keeps are remembered for the run cache; DVC counts them as unneeded.
    assert "Removed 1 objects from repo cache" in told, told
    # What was swept is made again, not fetched from a memory that points to nothing.
    (project / "source.txt").write_text("overwritten")
    assert "is cached" not in _dvc(project, "repro")
