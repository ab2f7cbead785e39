"""The verb on a real store."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from symbio.errors import SymbioError
from symbio.lineage.address import page_of_run
from symbio.lineage.collect import collect
from symbio.lineage.origin import origin_of
from symbio.lineage.run import run as tell_lineage
from symbio.params import Params, load_params
from symbio.promote.run import run as promote
from symbio.register.run import run as register
from symbio.search.keys import changed, write_params
from symbio.tracking import open_store, record_run, send_run
from tests.embedded_store import put_store
from tests.promote.conftest import FRAMES, write_scores
from tests.tiny_model import put_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "symbio" / "presets" / "sample.yaml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    put_store(tmp_path)
    return tmp_path


def put_training(root: Path, params: Params, **tags: str) -> str:
    """A finished training run, as `tracked_training` leaves it; its id."""
    lineage = collect(root, params, ["data/prepared/nyu", "data/pseudo/nyu"], dataset="nyu")
    folder = root / "checkpoints" / "tracking" / "nyu"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lineage.json").write_text(json.dumps(lineage.as_dict()))
    record_run(
        folder,
        root,
        experiment="symbio-nyu",
        name="train-nyu",
        status="FINISHED",
        tags={**lineage.tags(), "symbio.stage": "train", "symbio.dataset": "nyu", **tags},
        artifacts={folder / "lineage.json": "lineage"},
    )
    return send_run(folder, root)


def put_search(root: Path, params: Params, name: str, changes: dict[str, object]) -> str:
    """A finished search whose best trial, number 5, has these changes; its run's id."""
    folder = root / "searches" / name
    folder.mkdir(parents=True)
    write_params(changed(params, changes, "best"), folder / "best-params.yaml", "Best")
    trials = [{"number": 0, "changes": {}}, {"number": 5, "changes": changes}]
    told = {"best": 5, "metric": "abs_rel", "trials": trials}
    (folder / "result.json").write_text(json.dumps(told))
    study = record_run(
        folder / "tracking",
        root,
        experiment="symbio-nyu",
        name=name,
        status="FINISHED",
        tags={"symbio.stage": "search", "symbio.study": name},
        artifacts={
            folder / "best-params.yaml": "study",
            folder / "result.json": "study",
        },
    )
    run_id = send_run(folder / "tracking", root)
    record_run(
        folder / "trial-0005",
        root,
        experiment="symbio-nyu",
        name=f"{name}-trial-0005",
        status="FINISHED",
        tags={"symbio.stage": "train", "symbio.study": name, "symbio.trial": "5"},
        parent=study,
    )
    send_run(folder / "trial-0005", root)
    return run_id


def test_a_version_from_its_data_to_the_decision_about_it(
    project: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    put_model(project / "models" / "nyu")
    card = json.loads((project / "models" / "nyu" / "model.json").read_text())
    lock = {"stages": {"prepare@nyu": {"outs": [
        {"path": "data/prepared/nyu", "md5": "1" * 32 + ".dir", "size": 4096, "nfiles": 2}
    ]}}}  # fmt: skip
    (project / "dvc.lock").write_text(yaml.safe_dump(lock))
    run_id = put_training(project, params, **{"symbio.weights_sha256": card["weights_sha256"]})
    write_scores(project, FRAMES)
    register(params, "nyu", project)
    promote(params, "nyu", project)
    capsys.readouterr()
    tell_lineage("models:/symbio-nyu@champion", project)
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "models:/symbio-nyu/1", "@champion", "nyu-eigen, test split", "9 frames", f"run {run_id}",
        "1" * 12, "2 files, 4.0 KiB", card["weights_sha256"][:12], "decision promoted",
        "data/pseudo/nyu · not in DVC", "no commit is known",
    ):  # fmt: skip
        assert part in text
    ElementTree.parse(project / "lineage" / "symbio-nyu-1.svg")


def test_a_version_without_a_run_is_told_as_far_as_it_is_known(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = open_store(project)
    client.create_registered_model("symbio-nyu")
    client.create_model_version("symbio-nyu", str(project / "anything"))
    tell_lineage("models:/symbio-nyu/1", project, project / "own.svg")
    text = " ".join(capsys.readouterr().out.split())
    assert "no run belongs to it" in text
    assert "no run in this store" in text
    ElementTree.parse(project / "own.svg")
    # One whose run was deleted for good.
    client.create_model_version("symbio-nyu", str(project / "anything"), run_id="0" * 32)
    tell_lineage("models:/symbio-nyu/2", project)
    assert "its run is not in this store" in capsys.readouterr().out
    client.delete_model_version("symbio-nyu", "1")
    with pytest.raises(SymbioError, match="no such version"):
        tell_lineage("models:/symbio-nyu/1", project)


def test_a_training_is_known_by_the_params_that_a_search_found(
    project: Path, params: Params
) -> None:
    found = {"train.lr": 0.00123, "nearfarmix.mix": "cutmix"}
    put_search(project, params, "narrow", {"train.lr": 0.5})
    wide = put_search(project, params, "wide", found)
    # Only the seed differs: the same configuration.
    run_id = put_training(project, changed(params, {**found, "seed": 99}, "training"))
    origin = origin_of(open_store(project), project, run_id, "nyu")
    assert origin is not None
    assert (origin.study, origin.trial, origin.run_id) == ("wide", "5", wide)
    assert origin.told[1] == "train.lr 0.00123, nearfarmix.mix cutmix"
    assert origin.trial_run_id is not None
    trial = open_store(project).get_run(origin.trial_run_id)
    assert trial.info.run_name == "wide-trial-0005"


@pytest.mark.parametrize("late", [False, True])
def test_params_that_no_earlier_search_found_come_from_none(
    project: Path, params: Params, late: bool
) -> None:
    put_search(project, params, "confirmed", {})
    run_id = put_training(project, changed(params, {"train.lr": 0.25}, "training"))
    if late:
        put_search(project, params, "after", {"train.lr": 0.25})
    assert origin_of(open_store(project), project, run_id, "nyu") is None


def test_a_trial_names_its_study(project: Path, params: Params) -> None:
    tags = {"symbio.study": "nyu-mix", "symbio.trial": "4", "symbio.variant": "cutmix"}
    run_id = put_training(project, params, **tags)
    origin = origin_of(open_store(project), project, run_id, "nyu")
    assert origin is not None
    assert (origin.study, origin.trial, origin.run_id) == ("nyu-mix", "4", None)
    assert origin.told == ("the training is this trial", "variant cutmix")


def test_an_absent_store_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SymbioError, match=r"http://127\.0\.0\.1:9.*same command") as caught:
        tell_lineage("models:/symbio-nyu/1", project)
    assert caught.value.exit_code == 75
    assert not (project / "lineage").exists()


@pytest.mark.parametrize(
    ("uri", "page"),
    [
        ("http://host:5000/", "http://host:5000/#/experiments/3/runs/ab"),
        ("https://me:secret@host", "https://host/#/experiments/3/runs/ab"),
        ("postgresql://me:secret@host/mlflow", None),
    ],
)
def test_a_run_is_linked_where_the_store_has_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, page: str | None
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert page_of_run(tmp_path, "3", "ab") == page
