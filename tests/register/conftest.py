from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symbio.params import Params, load_params
from tests.embedded_store import put_store
from tests.tiny_model import put_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT / "symbio" / "presets" / "sample.yaml")


def write_metrics(root: Path, **changed: Any) -> None:
    """Scores of the network in models/nyu, as evaluation writes them."""
    card = json.loads((root / "models" / "nyu" / "model.json").read_text())
    metrics = {
        "dataset": "nyu",
        "protocol": "nyu-eigen",
        "aggregation": "image",
        "split": "test",
        "data_sha256": "d" * 64,
        "num_images": 12,
        "weights_sha256": card["weights_sha256"],
        "trained": {"abs_rel": 0.25, "d1": 0.625, "rmse": None},
        "constant": {"abs_rel": 0.5, "d1": 0.3, "rmse": 2.0},
        "untrained": {"abs_rel": 0.75, "d1": 0.2, "rmse": 4.0},
        **changed,
    }
    (root / "metrics").mkdir(exist_ok=True)
    (root / "metrics" / "nyu.json").write_text(json.dumps(metrics))


def put_project(root: Path) -> Path:
    """A trained and evaluated project whose training run the store does not know."""
    put_store(root)
    put_model(root / "models" / "nyu")
    write_metrics(root)
    (root / "reports" / "nyu").mkdir(parents=True)
    (root / "reports" / "nyu" / "report.html").write_text("<html>")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """See `put_project`."""
    return put_project(tmp_path / "a project")
