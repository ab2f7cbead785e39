"""A project of its own for tests that run the pipeline: few frames, few steps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TINY: dict[str, dict[str, Any]] = {
    "nyu": {"sample": {"train": 10, "test": 3}, "val_share": 0.2},
    "kitti": {"sample": {"train": 10, "test": 5}, "val_share": 0.2},
    "train": {"steps": 4, "batch": 4, "micro_batch": 2, "checkpoint_every": 2, "validate_every": 2},
}

_FILES = (
    "dvc.yaml", ".dvcignore", ".gitignore", "prefect.yaml", "pyproject.toml", "requirements.lock",
)  # fmt: skip


def environment(project: Path) -> dict[str, str]:
    """This environment, with the project's own code first and no tracking server."""
    values = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
    }
    values.pop("MLFLOW_TRACKING_URI", None)
    return values


def run(project: Path, *command: str, code: int = 0) -> str:
    """Run a command in the project; everything it printed. Fails on another exit code."""
    told = subprocess.run(
        command,
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    printed = told.stdout + told.stderr
    assert told.returncode == code, f"{command} ended with {told.returncode}:\n{printed[-8000:]}"
    return printed


def make_project(folder: Path) -> Path:
    """Copy what a clone holds into `folder`, make params tiny, commit."""
    folder.mkdir(parents=True, exist_ok=True)
    unwanted = shutil.ignore_patterns("tmp", "cache", "__pycache__", "mlflow.db*", "artifacts")
    for name in ("symbio", "flows", "infra", ".dvc", "mlruns"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in _FILES:
        shutil.copy(ROOT / name, folder / name)
    values = yaml.safe_load((ROOT / "symbio/presets/sample.yaml").read_text())
    for section, changes in TINY.items():
        values[section].update(changes)
    write_params(folder, values)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", *identity, "commit", "-qm", "project")
    return folder


def write_params(folder: Path, values: dict[str, Any]) -> None:
    """Write params.yaml."""
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
