"""The command line answers quickly, and bad input is told in one message with exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from symbio.presets import PRESETS

ROOT = Path(__file__).parents[1]
VERBS = ["sample", "prepare", "label", "train", "evaluate", "register"]


def _symbio(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "symbio.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_bytes((PRESETS / "sample.yaml").read_bytes())
    return tmp_path


def test_help_answers_at_once_and_imports_nothing_heavy(tmp_path: Path) -> None:
    start = time.monotonic()
    told = _symbio("--help", cwd=tmp_path)
    seconds = time.monotonic() - start
    assert told.returncode == 0
    assert all(verb in told.stdout for verb in [*VERBS, "predict", "demo"])
    # 0.15 s here; the bound only has to catch an import of torch (2 s) or mlflow (2 s).
    assert seconds < 1.5
    script = "import sys, symbio.cli; print([m for m in sys.modules if m in %r])"
    heavy = ["torch", "transformers", "mlflow", "prefect", "deepspeed", "cv2", "numpy"]
    loaded = subprocess.run(
        [sys.executable, "-c", script % heavy],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_bad_params_stop_every_stage_before_it_starts(project: Path, verb: str) -> None:
    values = yaml.safe_load((project / "params.yaml").read_text())
    values["train"]["learing_rate"] = 1
    (project / "params.yaml").write_text(yaml.safe_dump(values))
    told = _symbio(verb, "nyu", cwd=project)
    assert told.returncode == 2
    assert "train.learing_rate: unknown key" in told.stderr
    assert "Traceback" not in told.stderr
    assert [path.name for path in project.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("verb", "needed"),
    [
        ("prepare", "data/sample/nyu"),
        ("label", "data/prepared/nyu"),
        ("train", "data/prepared/nyu"),
        ("evaluate", "models/nyu"),
        ("register", "models/nyu"),
    ],
)
def test_stage_without_its_input_names_it(project: Path, verb: str, needed: str) -> None:
    told = _symbio(verb, "nyu", cwd=project)
    assert told.returncode == 2
    assert needed in told.stderr
    assert "Traceback" not in told.stderr


def test_preset_writes_params_that_hold(project: Path) -> None:
    assert _symbio("preset", "paper", cwd=project).returncode == 0
    assert (project / "params.yaml").read_bytes() == (PRESETS / "paper.yaml").read_bytes()


def test_unknown_data_set_is_refused(project: Path) -> None:
    told = _symbio("train", "cityscapes", cwd=project)
    assert told.returncode == 2
    assert "nyu" in told.stderr
