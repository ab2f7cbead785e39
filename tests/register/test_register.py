"""Registration in a real store; loading with MLflow in processes of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import yaml
from PIL import Image

from symbio.errors import SymbioError
from symbio.lineage.collect import collect
from symbio.model.inference import infer
from symbio.model.saved import load_network
from symbio.params import Params
from symbio.predict.run import run as predict
from symbio.register.run import run as register
from symbio.tracking import open_store, tracked_training
from symbio.tracking.models import version_of
from symbio.tracking.scores import scores_of
from tests.register.conftest import write_metrics

PICTURES = np.random.default_rng(5).integers(0, 256, (2, 30, 44, 3), np.uint8)


def versions(root: Path) -> dict[str, dict[str, str]]:
    found = open_store(root).search_model_versions("name = 'symbio-nyu'")
    return {str(one.version): dict(one.tags) for one in found}


def package_of(root: Path, entry: dict[str, Any]) -> Path:
    """Where the store keeps a version's package."""
    model = open_store(root).get_logged_model(entry["source"].removeprefix("models:/"))
    return Path(unquote(urlsplit(model.artifact_location).path))


def test_a_model_is_registered_once(project: Path, params: Params) -> None:
    entry = register(params, "nyu", project)
    assert json.loads((project / "registry" / "nyu.json").read_text()) == entry
    assert (entry["name"], entry["version"], entry["uri"]) == (
        "symbio-nyu",
        "1",
        "models:/symbio-nyu/1",
    )
    assert entry["metrics"] == {"test/abs_rel": 0.25, "test/d1": 0.625}
    client = open_store(project)
    version = client.get_model_version("symbio-nyu", "1")
    assert version.status == "READY"
    assert version.tags["symbio.weights_sha256"] == entry["weights_sha256"]
    assert version.tags["metric.abs_rel"] == "0.25"
    assert version.tags["symbio.data_sha256"] == "d" * 64
    assert version.tags["symbio.seed"] == str(params.seed)
    assert "| abs_rel | lower | 0.25 |" in version.description
    assert client.get_model_version_by_alias("symbio-nyu", "candidate").version == version.version

    assert register(params, "nyu", project) == entry
    assert list(versions(project)) == ["1"]

    write_metrics(project, trained={"abs_rel": 0.2})
    second = register(params, "nyu", project)
    assert second["version"] == "2"
    alias = client.get_model_version_by_alias("symbio-nyu", "candidate")
    assert str(alias.version) == "2"

    write_metrics(project)
    assert register(params, "nyu", project)["version"] == "1"
    alias = client.get_model_version_by_alias("symbio-nyu", "candidate")
    assert str(alias.version) == "2", "the newest stays the candidate"
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_it_belongs_to_the_run_that_trained_it(project: Path, params: Params) -> None:
    lineage = collect(project, params, [])
    with tracked_training(project, "nyu", lineage) as tracked:
        tracked.metrics({"step": 1, "time": 1.0, "metrics": {"train/loss": 1.0}})
        tracked.made(project / "models" / "nyu")
        tracked.finish("KILLED")
    entry = register(params, "nyu", project)
    client = open_store(project)
    trained = client.get_run(entry["run_id"])
    assert trained.data.metrics["train/loss"] == 1.0
    assert trained.info.status == "KILLED", "registering does not change how a run ended"
    assert trained.data.metrics["test/abs_rel"] == 0.25
    model = client.get_logged_model(entry["source"].removeprefix("models:/"))
    scores = {metric.key: metric.value for metric in model.metrics}
    assert scores["test/abs_rel"] == 0.25
    assert "train/loss" not in scores


def test_the_version_knows_its_package_file_by_file(project: Path, params: Params) -> None:
    entry = register(params, "nyu", project)
    package = package_of(project, entry)
    tags = versions(project)["1"]
    manifest = (package / "manifest.json").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == tags["symbio.manifest_sha256"]
    listed = json.loads(manifest)["files"]
    assert listed == {
        path.relative_to(package).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in package.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    names = {name.removeprefix("artifacts/network/") for name in listed}
    assert {"weights.safetensors", "model.json", "model.onnx", "MODEL_CARD.md"} < names
    assert {"MLmodel", "served.py", "code/symbio/model/inference.py"} < names
    described = yaml.safe_load((package / "MLmodel").read_text())
    assert described["model_id"] == entry["source"].removeprefix("models:/")
    assert described["run_id"] == entry["run_id"]
    assert described["metadata"]["onnx"] == tags["symbio.onnx"]
    assert tags["symbio.onnx"].startswith("checked, max rel. difference ")
    times = described["metadata"]["measured"]["picture_ms"]
    card = (package / "artifacts" / "network" / "MODEL_CARD.md").read_text()
    assert f"{times['640x480']['1']['median']:.4g}" in card
    assert tags["symbio.onnx"] in card


def test_no_pickle_and_no_pipeline_on_the_way_to_a_prediction(
    project: Path, params: Params
) -> None:
    entry = register(params, "nyu", project)
    package = package_of(project, entry)
    assert not [path for path in package.rglob("*") if path.suffix in (".pkl", ".pt", ".pth")]
    np.save(project / "in.npy", PICTURES)
    script = f"""
import pickle, sys
import mlflow, numpy as np, torch
for name in ("dvc", "deepspeed", "prefect", "optuna", "transformers"):
    sys.modules[name] = None
class Refused:
    def __init__(self, *a, **k): raise AssertionError("unpickling")
def refuse(*a, **k): raise AssertionError("unpickling")
package = {str(package)!r}
pickle.loads = pickle.load = refuse
pickle.Unpickler = pickle._Unpickler = Refused
model = mlflow.pyfunc.load_model(package)
import symbio
assert symbio.__file__.startswith(package), symbio.__file__
out = model.predict(np.load("in.npy"))
np.savez("out.npz", **out)
with open(package + "/artifacts/network/MODEL_CARD.md", "a") as card:
    card.write("safe for every use\\n")
try:
    mlflow.pyfunc.load_model(package)
except symbio.errors.SymbioError as error:
    assert "MODEL_CARD.md" in str(error), error
else:
    raise AssertionError("a changed package was loaded")
"""
    subprocess.run([sys.executable, "-c", script], cwd=project, check=True, timeout=120)
    out = np.load(project / "out.npz")
    expected = infer(load_network(project / "models" / "nyu")[0], PICTURES)
    assert out["depth"].dtype == np.float32
    assert out["semantic"].dtype == np.uint8
    assert np.allclose(out["depth"], expected.depth_m, rtol=1e-5)
    assert np.array_equal(out["semantic"], expected.classes)


def test_prediction_with_a_registered_model(project: Path, params: Params) -> None:
    entry = register(params, "nyu", project)
    image = project / "a.png"
    Image.fromarray(PICTURES[0]).save(image)
    predict(str(project / "models" / "nyu"), [image], project / "0", root=project)
    addresses = [
        "models:/symbio-nyu/1",
        "models:/symbio-nyu@candidate",
        f"runs:/{entry['run_id']}/model",
    ]
    for index, address in enumerate(addresses, 1):
        predict(address, [image], project / str(index), root=project)
        for name in ("a_depth.png", "a_semantic.png", "a_overlay.png"):
            first, this = project / "0" / name, project / str(index) / name
            assert this.read_bytes() == first.read_bytes()


@pytest.mark.parametrize("address", ["models:/symbio-nyu/7", "models:/nobody@candidate"])
def test_an_unknown_registered_model_is_named(project: Path, address: str) -> None:
    image = project / "a.png"
    Image.fromarray(PICTURES[0]).save(image)
    with pytest.raises(SymbioError, match=address):
        predict(address, [image], project / "out", root=project)


def test_a_package_that_was_not_written_leaves_no_version(
    project: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> str:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("symbio.register.register.write_package", no_room)
        with pytest.raises(SymbioError, match="no room"):
            register(params, "nyu", project)
    assert versions(project) == {}
    client = open_store(project)
    ids = [one.experiment_id for one in client.search_experiments()]
    assert [one.status for one in client.search_logged_models(ids)] == ["FAILED"]
    assert register(params, "nyu", project)["version"] == "1"


def test_scores_of_another_model_are_refused(project: Path, params: Params) -> None:
    write_metrics(project, weights_sha256="0" * 64)
    with pytest.raises(SymbioError, match=r"another model.*symbio evaluate nyu"):
        register(params, "nyu", project)


def test_a_changed_weight_is_refused(project: Path, params: Params) -> None:
    weights = project / "models" / "nyu" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(SymbioError, match=r"weights\.safetensors"):
        register(params, "nyu", project)
    assert versions(project) == {}


def test_without_scores_there_is_nothing_to_register(project: Path, params: Params) -> None:
    shutil.rmtree(project / "metrics")
    with pytest.raises(SymbioError, match="symbio evaluate nyu"):
        register(params, "nyu", project)


def test_an_absent_store_is_said(
    project: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SymbioError, match=r"http://127\.0\.0\.1:9.*same command") as caught:
        register(params, "nyu", project)
    assert caught.value.exit_code == 75
    assert not (project / "registry").exists()


def test_scores_stay_with_the_version_they_belong_to(project: Path, params: Params) -> None:
    (project / "reports" / "nyu" / "per_image.csv").write_text("key,pixels\na,1\n")
    first = register(params, "nyu", project)
    write_metrics(project, trained={"abs_rel": 0.2})
    second = register(params, "nyu", project)
    assert first["run_id"] == second["run_id"], "one run, two versions"
    client = open_store(project)
    for number, value in (("1", 0.25), ("2", 0.2)):
        version = version_of(project, "symbio-nyu", number)
        assert version is not None
        (scores,) = scores_of(project, version, "test", "nyu-eigen")
        assert scores.metrics["trained"]["abs_rel"] == value
        assert scores.frames == {"a": {"key": "a", "pixels": "1"}}
        assert scores_of(project, version, "val", "nyu-eigen") == []
    assert client.get_run(first["run_id"]).info.status == "FINISHED"
