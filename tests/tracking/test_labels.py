"""Labels as a run in a real store."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from symbio.lineage.collect import collect
from symbio.params import load_params
from symbio.tracking import open_store, sync
from symbio.tracking.labels import log_labels

PRESET = Path(__file__).resolve().parents[2] / "symbio" / "presets" / "sample.yaml"
INPUTS = ["data/prepared/nyu", "data/pseudo/nyu"]


def test_labels_are_a_run_that_their_hash_finds(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = project / "data" / "pseudo" / "nyu"
    (out / "quality.html").write_text("<html>")
    quality = {"num_frames": 12, "truth": {"miou": 0.75}, "class_balance": [{"share": 1.0}]}
    lineage = collect(project, load_params(PRESET), INPUTS, dataset="nyu")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    log_labels(project, "nyu", quality, lineage)
    assert "symbio sync" in capsys.readouterr().err, "a store that is away costs one line"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync(project) == 1
    log_labels(project, "nyu", quality, lineage)

    client = open_store(project)
    experiment = client.get_experiment_by_name("symbio-nyu")
    index = hashlib.sha256((out / "index.json").read_bytes()).hexdigest()
    (run,) = client.search_runs(
        [experiment.experiment_id], f"tags.`symbio.index.data/pseudo/nyu` = '{index}'"
    )
    assert run.data.metrics == {"labels/num_frames": 12.0, "labels/truth/miou": 0.75}
    assert run.data.tags["symbio.stage"] == "label"
    assert json.loads(run.data.params["teacher.batch"]) == 8
    kept = {one.path for one in client.list_artifacts(run.info.run_id, "labels")}
    assert kept == {"labels/quality.html"}


def test_a_store_that_refuses_costs_no_labels(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = open_store(project)
    client.delete_experiment(client.create_experiment("symbio-nyu"))
    lineage = collect(project, load_params(PRESET), INPUTS, dataset="nyu")
    log_labels(project, "nyu", {"num_frames": 1}, lineage)
    assert "is deleted" in capsys.readouterr().err
