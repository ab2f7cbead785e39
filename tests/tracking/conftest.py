from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from symbio.lineage.collect import Lineage, collect
from symbio.params import load_params
from tests.embedded_store import put_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in git, with prepared and pseudo-labelled data that DVC knows, and a store."""
    root = tmp_path / "a project"
    put_store(root)
    for stage in ("prepared", "pseudo"):
        folder = root / "data" / stage / "nyu"
        folder.mkdir(parents=True)
        (folder / "index.json").write_text(f'{{"stage": "{stage}"}}')
        (folder / "train-000.tar").write_bytes(b"x" * 1000)
    size = sum(path.stat().st_size for path in (root / "data/prepared/nyu").iterdir())
    (root / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  prepare@nyu:\n    cmd: symbio prepare nyu\n    outs:\n"
        "    - path: data/prepared/nyu\n      hash: md5\n"
        f"      md5: 0123456789abcdef0123456789abcdef.dir\n      size: {size}\n      nfiles: 2\n"
    )
    (root / "requirements.lock").write_text("torch==2.11.0\n")
    (root / "code.py").write_text("one = 1\n")
    (root / ".gitignore").write_text("/data\n/mlruns\n/checkpoints\n/models\n")
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "first"],
    ):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    return root


@pytest.fixture
def lineage(project: Path) -> Lineage:
    inputs = ["data/prepared/nyu", "data/pseudo/nyu"]
    return collect(project, load_params(ROOT / "symbio/presets/sample.yaml"), inputs)
