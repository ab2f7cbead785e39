"""Registered versions with scores that are chosen frame by frame."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from symbio.params import Params, load_params
from symbio.register.run import run as register
from symbio.tracking import open_store
from tests.embedded_store import put_store
from tests.tiny_model import put_model

ROOT = Path(__file__).resolve().parents[2]
NAME = "symbio-nyu"
OTHERS = {"rmse": 1.0, "d1": 0.9, "truth_miou": 0.5}
FRAMES = [0.20, 0.22, 0.25, 0.30, 0.18, 0.26, 0.21, 0.24]
"""abs_rel of each frame; their mean is below the constant's."""


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT / "symbio" / "presets" / "sample.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A trained network and an empty store."""
    put_store(tmp_path)
    put_model(tmp_path / "models" / "nyu")
    return tmp_path


def write_scores(root: Path, frames: Sequence[float], **changed: Any) -> dict[str, Any]:
    """metrics/nyu.json and the table of frames as evaluation writes them; the metrics.

    `changed` are other keys of the metrics file, or other metrics of the trained network.
    """
    card = json.loads((root / "models" / "nyu" / "model.json").read_text())
    trained = {"abs_rel": math.fsum(frames) / len(frames), **OTHERS}
    trained |= {key: changed.pop(key) for key in list(changed) if key in trained}
    metrics = {
        "dataset": "nyu",
        "protocol": "nyu-eigen",
        "aggregation": "per-image",
        "split": "test",
        "split_sha256": "5" * 64,
        "data_sha256": "d" * 64,
        "num_images": len(frames) + 1,
        "weights_sha256": card["weights_sha256"],
        "trained": trained,
        "constant": {"abs_rel": 0.4, "rmse": 2.0, "d1": 0.3, "truth_miou": 0.02},
        "untrained": {"abs_rel": 0.9},
        **changed,
    }
    (root / "metrics").mkdir(exist_ok=True)
    (root / "metrics" / "nyu.json").write_text(json.dumps(metrics))
    write_table(root / "reports" / "nyu" / "per_image.csv", frames)
    return metrics


def write_table(path: Path, frames: Sequence[float]) -> None:
    """As evaluation writes it; the last frame has no depth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "pixels", "trained_abs_rel"])
        writer.writerows([f"frame-{n}", 1000 + n, value] for n, value in enumerate(frames))
        writer.writerow([f"frame-{len(frames)}", 0, "nan"])


def put_version(root: Path, params: Params, frames: Sequence[float], **changed: Any) -> str:
    """Register a version with these scores; its number."""
    write_scores(root, frames, **changed)
    return str(register(params, "nyu", root)["version"])


def aliases(root: Path) -> dict[str, str]:
    found = open_store(root).get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in found.items()}


def version_tags(root: Path, number: str) -> dict[str, str]:
    return dict(open_store(root).get_model_version(NAME, number).tags)


def recorded(root: Path, decision: dict[str, Any]) -> dict[str, Any]:
    """The decision as the version's run holds it."""
    client = open_store(root)
    run_id = client.get_model_version(decision["name"], decision["version"]).run_id
    path = client.download_artifacts(run_id, decision["record"], str(root))
    loaded: dict[str, Any] = json.loads(Path(path).read_text())
    return loaded
