"""The verb on real networks, evaluated and registered in a real store."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from symbio.compare.run import run as compare
from symbio.errors import SymbioError
from symbio.evaluate.paired import paired_interval
from symbio.evaluate.run import run as evaluate
from symbio.model.saved import load_network, save_network
from symbio.params import Params, load_params
from symbio.register import register as module
from symbio.register.package import Examined
from symbio.register.run import run as register
from symbio.search.frames import FRAMES_FILE
from symbio.search.rank import measure
from symbio.tracking.record import FINISHED
from symbio.tracking.runs import record_run, send_run
from tests.embedded_store import put_store
from tests.evaluate.conftest import write_world
from tests.tiny_model import put_model

pytestmark = pytest.mark.slow

PRESET = Path(__file__).parents[2] / "symbio" / "presets" / "sample.yaml"
ONE, TWO = "models:/symbio-nyu/1", "models:/symbio-nyu/2"
USING = {"device": "CPU", "threads": 1, "load_s": 2.5, "peak_rss_mib": 700, "picture_ms": {}}
SIZES = [(120, 160), (90, 160)]


@pytest.fixture(scope="module")
def params() -> Params:
    preset = load_params(PRESET)
    return preset.model_copy(update={"nyu": preset.nyu.model_copy(update={"protocol": "none"})})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Path:
    """Two versions whose networks differ by a shift of every depth; reports/ and metrics/ of both.

    `metrics/first.json` and `reports/first` are those of version 1.
    """
    root = tmp_path_factory.mktemp("compared")
    write_world(root, "nyu", SIZES, frames=10, train=1)
    put_store(root)
    put_model(root / "models" / "nyu")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(module, "examine", lambda *_: Examined(USING, "none: not asked for"))
        evaluate(params, "nyu", root)
        register(params, "nyu", root)
        shutil.copy(root / "metrics" / "nyu.json", root / "metrics" / "first.json")
        shutil.copytree(root / "reports" / "nyu", root / "reports" / "first")
        network, card = load_network(root / "models" / "nyu")
        with torch.no_grad():
            network.head_depth.out.bias += 0.5  # type: ignore[union-attr, operator]
        save_network(root / "models" / "nyu", network, {"dataset": card["dataset"]})
        evaluate(params, "nyu", root)
        register(params, "nyu", root)
    return root


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return made


def table(root: Path, name: str) -> dict[str, dict[str, str]]:
    with (root / "reports" / name / "per_image.csv").open(newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def panels(page: Path) -> list[bytes]:
    """The pictures that a page shows."""
    parts = page.read_text().split("data:image/png;base64,")[1:]
    return [base64.b64decode(part.split('"')[0]) for part in parts]


def test_two_versions(project: Path, params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(params, [ONE, "models:/symbio-nyu@candidate"], project)
    assert [one["uri"] for one in found["subjects"]] == [ONE, TWO]
    assert found["notes"] == []
    values = [
        json.loads((project / "metrics" / f"{name}.json").read_text())["trained"]
        for name in ("first", "nyu")
    ]
    metrics = {one["name"]: one for one in found["metrics"]}
    assert {"abs_rel", "silog", "truth_miou", "pseudo_miou"} < metrics.keys()
    for name, one in metrics.items():
        assert one["values"] == [values[0][name], values[1][name]]
    rows = [table(project, name) for name in ("first", "nyu")]
    scored = [key for key in sorted(rows[0]) if rows[0][key]["pixels"] != "0"]
    errors = np.array([[float(side[key]["trained_abs_rel"]) for key in scored] for side in rows])
    wanted = paired_interval(errors[0] - errors[1], np.ones(len(scored)))
    (gain,) = metrics["abs_rel"]["gains"]
    assert gain["interval"]["low"] == pytest.approx(wanted.low, rel=1e-9)
    assert gain["interval"]["high"] == pytest.approx(wanted.high, rel=1e-9)
    assert gain["gain"] == pytest.approx(values[0]["abs_rel"] - values[1]["abs_rel"])

    most, least = errors[0] - errors[1], errors[1] - errors[0]
    shown = {one["key"]: one["why"] for one in found["frames"]}
    assert next(iter(shown)) == scored[int(most.argmax())]
    assert shown[scored[int(least.argmax())]] == "loses most"
    assert sum(row["pixels"] for row in found["ranges"]) == sum(
        int(row["pixels"]) for row in rows[0].values()
    )
    costs = {one["what"]: one["values"] for one in found["cost"]}
    assert costs["parameters"][0] == costs["parameters"][1] > 1
    assert costs["loading"] == [2.5, 2.5]
    assert costs["memory at most"] == [700, 700]

    out = project / "comparisons" / "symbio-nyu-1--symbio-nyu-2"
    assert {path.name for path in out.iterdir()} == {"page.html", "comparison.json"}
    assert json.loads((out / "comparison.json").read_text()) == found
    drawn = panels(out / "page.html")
    assert len(drawn) == 2 * len(shown)
    # What is drawn anew is, bit by bit, what each evaluation drew.
    for side, name in enumerate(("first", "nyu")):
        for picture in (project / "reports" / name / "pictures").iterdir():
            (place,) = [
                n for n, one in enumerate(found["frames"]) if one["picture"] == picture.name
            ]
            assert drawn[2 * place + side] == picture.read_bytes()
    assert "symbio-nyu/2" in capsys.readouterr().out


def test_without_the_frames_the_logged_pictures_are_shown(
    project: Path, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{project.resolve()}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    out = tmp_path / "out"
    found = compare(params, [TWO, ONE], tmp_path / "elsewhere", out)
    assert found["notes"] == [
        "Pictures are those that were logged, since the frames are not prepared here."
    ]
    logged = sorted((project / "reports" / "nyu" / "pictures").iterdir())
    assert [one["picture"] for one in found["frames"]] == [path.name for path in logged]
    assert panels(out / "page.html")[::2] == [path.read_bytes() for path in logged]


def test_a_trial_is_compared_with_a_version_of_its_weights(
    project: Path, params: Params, tmp_path: Path
) -> None:
    trial = tmp_path / "trial"
    trial.mkdir()
    (trial / "data").symlink_to(project / "data")
    (trial / "models").symlink_to(project / "models")
    measure(params, "nyu", trial)
    folder = project / "checkpoints" / "tracking" / "trial"
    record_run(
        folder,
        project,
        experiment="symbio-nyu",
        name="study-trial-0000",
        status=FINISHED,
        tags={"symbio.dataset": "nyu", "symbio.stage": "train"},
        artifacts={
            trial / FRAMES_FILE: "evaluation",
            trial / "pictures": "evaluation/report/pictures",
        },
    )
    run_id = send_run(folder, project)
    found = compare(params, [TWO, f"runs:/{run_id}"], project, tmp_path / "out")
    assert found["subjects"][1]["version"] == TWO
    for one in found["metrics"]:
        assert one["values"][1] == pytest.approx(one["values"][0], rel=1e-5), one["name"]
    # Its class table is counted from frames, that of the version from one matrix.
    for row in found["classes"]["truth"]:
        assert row["iou"][1] == pytest.approx(row["iou"][0], abs=1e-12)
    drawn = panels(tmp_path / "out" / "page.html")
    assert drawn[::2] == drawn[1::2]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([ONE, ONE], "two or more that are not the same"),
        ([ONE], "two or more"),
        ([ONE, "models:/symbio-nyu/7"], "models:/symbio-nyu/7: there is no such version"),
        ([ONE, "runs:/nothing"], "write runs:/RUN_ID"),
        ([ONE, f"runs:/{'0' * 32}"], "there is no such run"),
        ([ONE, "models/nyu"], "models:/NAME/VERSION"),
    ],
)
def test_mistakes_are_named(project: Path, params: Params, names: list[str], told: str) -> None:
    with pytest.raises(SymbioError, match=told) as caught:
        compare(params, names, project)
    assert caught.value.exit_code == 2


def test_nothing_but_a_comparison_is_replaced(
    project: Path, params: Params, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("dear")
    with pytest.raises(SymbioError, match="holds no earlier comparison"):
        compare(params, [ONE, TWO], project, tmp_path)
    assert os.listdir(tmp_path) == ["mine.txt"]


def test_a_version_measured_otherwise_is_refused(project: Path, params: Params) -> None:
    other: Any = params.nyu.model_copy(update={"protocol": "nyu-eigen"})
    with pytest.raises(SymbioError, match=r"no scores of it on the test split by nyu-eigen"):
        compare(params.model_copy(update={"nyu": other}), [ONE, TWO], project)
