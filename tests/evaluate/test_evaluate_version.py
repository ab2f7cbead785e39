"""Evaluating registered versions, in a real store, and promoting by what was measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.errors import SymbioError
from symbio.evaluate.run import run as evaluate
from symbio.model.saved import load_network, save_network
from symbio.params import Params, load_params
from symbio.promote.run import run as promote
from symbio.register.run import run as register
from symbio.stages import evaluate_version
from symbio.tracking import open_store, sync
from tests.embedded_store import put_store
from tests.evaluate.conftest import write_world
from tests.tiny_model import put_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def params() -> Params:
    preset = load_params(ROOT / "symbio" / "presets" / "sample.yaml")
    return preset.model_copy(update={"nyu": preset.nyu.model_copy(update={"protocol": "none"})})


@pytest.fixture
def registered(tmp_path: Path, params: Params) -> Path:
    """A project whose network is evaluated and registered, as version 1."""
    write_world(tmp_path, "nyu", [(120, 160), (90, 160)])
    put_store(tmp_path)
    put_model(tmp_path / "models" / "nyu")
    evaluate(params, "nyu", tmp_path)
    register(params, "nyu", tmp_path)
    return tmp_path


def files(root: Path) -> dict[str, bytes]:
    """The pipeline's own results."""
    paths = [path for name in ("models", "metrics", "reports", "registry") for path in
             sorted((root / name).rglob("*")) if path.is_file()]  # fmt: skip
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def shifted(root: Path) -> None:
    """Another network in models/nyu: the same, with every depth a little different."""
    network, card = load_network(root / "models" / "nyu")
    with torch.no_grad():
        network.head_depth.out.bias += 0.5  # type: ignore[union-attr, operator]
    save_network(root / "models" / "nyu", network, {"dataset": card["dataset"]})


def test_a_version_is_measured_beside_the_pipeline(registered: Path, params: Params) -> None:
    first = json.loads((registered / "metrics" / "nyu.json").read_text())
    shifted(registered)
    evaluate(params, "nyu", registered)
    before = files(registered)
    found = evaluate_version(
        params, "nyu", registered, "models:/symbio-nyu@candidate", None, "test", "1"
    )
    assert found == first, "the registered network, not the one in models/nyu"
    out = registered / "evaluations" / "symbio-nyu-1" / "nyu-test-none"
    assert {path.name for path in out.iterdir()} == {"metrics.json", "report"}
    assert json.loads((out / "metrics.json").read_text()) == first
    assert (out / "report" / "report.html").is_file()
    assert files(registered) == before

    client = open_store(registered)
    experiment = client.get_experiment_by_name("symbio-nyu")
    runs = client.search_runs(
        [experiment.experiment_id], filter_string="tags.`symbio.stage` = 'evaluate'"
    )
    assert len(runs) == 1
    stored = runs[0]
    assert stored.info.run_name == "evaluate-symbio-nyu-1-test-none"
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["symbio.model"] == "models:/symbio-nyu/1"
    assert stored.data.tags["symbio.protocol"] == "none"
    assert stored.data.metrics["test/abs_rel"] == first["trained"]["abs_rel"]
    kept = {one.path for one in client.list_artifacts(stored.info.run_id, "evaluation/report")}
    assert "evaluation/report/report.html" in kept
    tags = client.get_model_version("symbio-nyu", "1").tags
    assert tags["metric.test.none.abs_rel"] == f"{first['trained']['abs_rel']:.6g}"
    assert json.loads(tags["symbio.evaluation.test.none"])["run_id"] == stored.info.run_id

    evaluate_version(params, "nyu", registered, "models:/symbio-nyu/1", None, "test", "1")
    again = client.search_runs(
        [experiment.experiment_id], filter_string="tags.`symbio.stage` = 'evaluate'"
    )
    assert [one.info.run_id for one in again] == [stored.info.run_id]
    assert sync(registered) == 0


def test_new_data_are_bridged_by_evaluating_the_champion(registered: Path, params: Params) -> None:
    # An untrained network does not beat the constant: it is made champion by hand.
    open_store(registered).set_registered_model_alias("symbio-nyu", "champion", "1")
    write_new_data(registered)
    shifted(registered)
    ours = evaluate(params, "nyu", registered)
    register(params, "nyu", registered)
    with pytest.raises(SymbioError, match=r"symbio evaluate nyu --model models:/symbio-nyu/1"):
        promote(params, "nyu", registered)
    theirs = evaluate_version(
        params, "nyu", registered, "models:/symbio-nyu@champion", None, "test", "1"
    )
    decision = promote(params, "nyu", registered)
    assert decision["metric"]["candidate"] == ours["trained"]["abs_rel"]
    assert decision["metric"]["reference"] == theirs["trained"]["abs_rel"]
    assert decision["interval"]["num_frames"] == ours["num_images_scored"]
    better = ours["trained"]["abs_rel"] < theirs["trained"]["abs_rel"]
    assert decision["metric"]["holds"] == better


def write_new_data(root: Path) -> None:
    (root / "data").rename(root / "data.before")
    write_world(root, "nyu", [(120, 160), (90, 160)], frames=8)


def test_another_protocol_and_split(registered: Path, params: Params) -> None:
    before = files(registered)
    uri = "models:/symbio-nyu/1"
    found = evaluate_version(params, "nyu", registered, uri, "nyu-multitask", "val", "1")
    assert (found["protocol"], found["split"], found["num_images"]) == ("nyu-multitask", "val", 1)
    out = registered / "evaluations" / "symbio-nyu-1" / "nyu-val-nyu-multitask"
    assert json.loads((out / "metrics.json").read_text()) == found
    assert files(registered) == before


def test_a_model_of_another_data_set_is_refused(registered: Path, params: Params) -> None:
    with pytest.raises(SymbioError, match=r"models:/symbio-nyu/1: is a model of 'nyu', not of"):
        evaluate_version(params, "kitti", registered, "models:/symbio-nyu/1", None, "test", "1")
    assert not (registered / "evaluations").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/symbio-nyu@champion", r"@champion: there is no such version.*@candidate"),
        ("runs:/0123/model", "is no registered version"),
    ],
)
def test_what_is_no_version_is_named(
    registered: Path, params: Params, model: str, message: str
) -> None:
    with pytest.raises(SymbioError, match=message) as caught:
        evaluate_version(params, "nyu", registered, model, None, "test", "1")
    assert caught.value.exit_code == 2


def test_weights_that_were_exchanged_in_the_store_are_refused(
    registered: Path, params: Params
) -> None:
    (card,) = (registered / "mlruns").rglob("artifacts/network/model.json")
    network, told = load_network(card.parent)
    with torch.no_grad():
        network.head_depth.out.bias += 1.0  # type: ignore[union-attr, operator]
    save_network(registered / "other", network, {"dataset": told["dataset"]})
    for path in (registered / "other").iterdir():
        shutil.copyfile(path, card.parent / path.name)
    with pytest.raises(SymbioError, match=r"network/(model\.json|weights\.safetensors)"):
        evaluate_version(params, "nyu", registered, "models:/symbio-nyu/1", None, "test", "1")


def test_a_store_that_is_away(
    registered: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SymbioError, match=r"127\.0\.0\.1:9") as caught:
        evaluate_version(params, "nyu", registered, "models:/symbio-nyu/1", None, "test", "1")
    assert caught.value.exit_code == 75


@pytest.mark.slow
def test_the_command_line_on_two_ranks(registered: Path, params: Params) -> None:
    (registered / "params.yaml").write_text(json.dumps(params.model_dump(mode="json")))
    environment: dict[str, Any] = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "symbio.cli", "evaluate", "nyu", "--ranks", "2"]
    command += ["--model", "models:/symbio-nyu@candidate"]
    subprocess.run(command, env=environment, cwd=registered, check=True, timeout=120)
    out = registered / "evaluations" / "symbio-nyu-1" / "nyu-test-none"
    own = registered / "metrics" / "nyu.json"
    assert (out / "metrics.json").read_bytes() == own.read_bytes()
    table = registered / "reports" / "nyu" / "per_image.csv"
    assert (out / "report" / "per_image.csv").read_bytes() == table.read_bytes()
