"""Which stages run and why, asked of the real DVC in a small project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from symbio.plan.stages import StagesQuestion

PIPELINE = """
stages:
  prepare:
    foreach: &d {nyu: {}, kitti: {}}
    do:
      cmd: mkdir -p data/${key} && cp raw.txt data/${key}/
      deps: [raw.txt, code]
      params: ["${key}.val_share"]
      outs: ["data/${key}"]
  train:
    foreach: *d
    do:
      cmd: mkdir -p models && cp data/${key}/raw.txt models/${key}
      deps: ["data/${key}"]
      params: [train]
      outs: ["models/${key}"]
  register:
    foreach: *d
    do:
      cmd: mkdir -p registry && cp models/${key} registry/${key}
      deps: ["models/${key}"]
      outs: ["registry/${key}"]
"""
PARAMS = """
nyu: {val_share: 0.1}
kitti: {val_share: 0.1}
train: {lr: 3.0e-3, augment: {flip: 0.5}}
"""


def _dvc(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "dvc", *arguments, "-q"]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=root, check=True, env=environment, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    _dvc(tmp_path, "init", "--no-scm")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "raw.txt").write_text("raw")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "stage.py").write_text("pass")
    return tmp_path


def _reasons(root: Path) -> dict[str, list[str]]:
    works, problem = StagesQuestion("nyu", root).answer()
    assert problem is None
    return {work.name: work.reasons for work in works}


def test_reasons_name_the_key_and_the_file_and_pass_downstream(project: Path) -> None:
    assert _reasons(project) == {
        "prepare": ["never ran"],
        "train": ["never ran"],
        "register": ["never ran"],
    }
    _dvc(project, "repro", "register@nyu")
    assert _reasons(project) == {"prepare": [], "train": [], "register": []}
    changed = PARAMS.replace("3.0e-3", "1e-4").replace("flip: 0.5", "flip: 0")
    (project / "params.yaml").write_text(changed)
    assert _reasons(project) == {
        "prepare": [],
        "train": ["train.augment.flip: 0.5 -> 0", "train.lr: 0.003 -> 0.0001"],
        "register": ["train runs"],
    }
    (project / "code" / "stage.py").write_text("raise")
    (project / "raw.txt").write_text("other")
    reasons = _reasons(project)
    assert sorted(reasons["prepare"]) == ["code: modified (stage.py)", "raw.txt: modified"]
    assert reasons["train"][-1] == "prepare runs"
    assert reasons["register"] == ["train runs"]


def test_folder_without_dvc_is_said(tmp_path: Path) -> None:
    works, problem = StagesQuestion("nyu", tmp_path).answer()
    assert works == []
    assert problem is not None
    assert "not inside of a DVC repository" in problem
