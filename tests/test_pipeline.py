"""The whole pipeline as users run it: `dvc repro` in a clone, again, and after a change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.project import make_project, run, write_params


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of its own, run once from beginning to end."""
    folder = make_project(tmp_path_factory.mktemp("project") / "symbio")
    run(folder, "dvc", "repro")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["nyu", "kitti"])
def test_every_stage_left_what_it_promises(project: Path, dataset: str) -> None:
    metrics = json.loads((project / f"metrics/{dataset}.json").read_text())
    assert metrics["num_images"] >= 3
    assert {"trained", "untrained", "constant"} <= set(metrics)
    assert metrics["trained"]["abs_rel"] > 0
    for path in [
        f"data/prepared/{dataset}/report.html",
        f"data/pseudo/{dataset}/quality.html",
        f"models/{dataset}/weights.safetensors",
        f"reports/{dataset}/report.html",
        f"reports/{dataset}/per_image.csv",
    ]:
        assert (project / path).stat().st_size > 0, path
    registered = json.loads((project / f"registry/{dataset}.json").read_text())
    assert registered["name"] == f"symbio-{dataset}"


@pytest.mark.slow
def test_a_second_repro_runs_nothing_and_says_so(project: Path) -> None:
    told = run(project, "dvc", "repro")
    assert "Running stage" not in told
    assert "up to date" in told


@pytest.mark.slow
def test_a_changed_parameter_reruns_only_what_depends_on_it(project: Path) -> None:
    before = (project / "params.yaml").read_text()
    values = yaml.safe_load(before)
    values["nearfarmix"]["probability"] = 0.9
    write_params(project, values)
    try:
        status = json.loads(run(project, "dvc", "status", "--json"))
    finally:
        (project / "params.yaml").write_text(before)
    changed = {stage for stage, why in status.items() if "nearfarmix" in json.dumps(why)}
    assert changed == {"train@nyu", "train@kitti"}
    assert set(status) == changed


@pytest.mark.slow
def test_metrics_and_plots_are_known_to_dvc(project: Path) -> None:
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))
    assert set(next(iter(shown.values()))["data"]) == {"metrics/nyu.json", "metrics/kitti.json"}
    run(project, "dvc", "plots", "show", "--out", "plots")
    assert (project / "plots/index.html").stat().st_size > 0


@pytest.mark.slow
def test_registered_model_predicts(project: Path) -> None:
    from PIL import Image

    picture = project / "picture.png"
    Image.new("RGB", (200, 120), (90, 120, 40)).save(picture)
    run(project, "symbio", "predict", "models:/symbio-nyu@candidate", "picture.png", "--out", "out")
    with Image.open(project / "out/picture_depth.png") as depth:
        assert depth.size == (200, 120)
        assert depth.mode in ("I;16", "I")


@pytest.mark.slow
def test_a_registered_version_is_made_again_bit_by_bit(project: Path) -> None:
    uri = "models:/symbio-nyu@candidate"
    run(project, "symbio", "reproduce", uri, "--same-environment", "--into", "again")
    report = json.loads((project / "again/report.json").read_text())
    stages = ("sample", "prepare", "label", "train", "evaluate")
    assert report["verdicts"] == dict.fromkeys(stages, "identical")
    train = report["stages"]["train"]
    assert train["same_weights"]
    assert (train["num_steps"], train["parted"]) == (4, None)
    assert report["differences"] == []
