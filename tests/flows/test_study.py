"""The command and the name of a flow's study, and where it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.stage import _submitted
from flows.study import Study
from symbio.cli import _parser


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return Path.cwd()


def test_what_was_asked_for_reaches_the_command_line(root: Path) -> None:
    study = Study("search", "nyu", name="wide", trials=4, workers=2)
    parsed = _parser().parse_args(study.command(root)[1:])
    assert (parsed.verb, parsed.dataset, parsed.study) == ("search", "nyu", "wide")
    assert (parsed.trials, parsed.workers) == (4, 2)
    plain = _parser().parse_args(Study("ablate", "kitti", "mix").command(root)[1:])
    assert (plain.dataset, plain.suite, plain.study) == ("kitti", "mix", "kitti-mix")
    assert plain.workers == 1


def test_a_study_in_a_worktree_is_another_one_for_the_database(root: Path) -> None:
    worktree = root / "workspaces" / "0123456789ab"
    assert Study("search", "nyu").name_in(worktree) == "nyu-0123456789ab"
    assert Study("ablate", "nyu", "mix").name_in(worktree) == "nyu-mix-0123456789ab"
    assert Study("search", "nyu", name="mine").name_in(worktree) == "mine"


def test_on_slurm_a_study_is_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["symbio", "search", "nyu", "--trials", "4"]
    monkeypatch.setenv("SYMBIO_WHERE", "local")
    assert _submitted(command) == command
    monkeypatch.setenv("SYMBIO_WHERE", "slurm")
    assert _submitted(command) == ["bash", "infra/slurm/submit.sh", *command[1:]]
    assert _submitted(["symbio", "reach"]) == ["symbio", "reach"]
