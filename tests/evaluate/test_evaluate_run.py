from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.evaluate.metrics import METRICS
from symbio.evaluate.run import run
from symbio.model.network import build_network
from symbio.model.saved import save_network
from symbio.params import ModelParams, Params, SymbiosisParams, load_params

PRESET = Path(__file__).parents[2] / "symbio" / "presets" / "sample.yaml"


@pytest.fixture(scope="session")
def params() -> Params:
    preset = load_params(PRESET)
    return preset.model_copy(update={"nyu": preset.nyu.model_copy(update={"protocol": "none"})})


def save_model(root: Path, dataset: str, broken: bool = False, of: str | None = None) -> None:
    model = ModelParams(
        encoder="test_maxvit",
        pretrained=False,
        channels=8,
        symbiosis=SymbiosisParams(heads=2),
        depth_output="log",
    )
    far = {"nyu": 10.0, "kitti": 80.0}[dataset]
    network = build_network(model, (64, 96), far, 0.1, seed=3)
    if broken:
        with torch.no_grad():
            network.head_depth.out.bias.fill_(math.nan)
    save_network(root / "models" / dataset, network, {"dataset": of or dataset})


@pytest.fixture(scope="module")
def evaluated(small_nyu: Any, params: Params) -> tuple[Any, dict[str, Any]]:
    save_model(small_nyu.root, "nyu")
    return small_nyu, run(params, "nyu", small_nyu.root)


def test_metrics_file_says_what_was_measured(evaluated: Any) -> None:
    world, returned = evaluated
    written = json.loads((world.root / "metrics" / "nyu.json").read_text())
    assert written == returned
    assert written["protocol"] == "none"
    assert (written["dataset"], written["split"]) == ("nyu", "test")
    assert written["split_sha256"] == Shards(world.prepared.folder).split_sha256("test")
    assert (written["num_images"], written["num_images_scored"]) == (4, 3)
    assert written["num_images_without_depth"] == 1
    for kind in ("trained", "untrained", "constant"):
        assert written[kind]["abs_rel"] > 0
        assert 0 <= written[kind]["pseudo_miou"] <= 1
        assert "truth_miou_reachable" in written[kind]
    assert written["trained"]["abs_rel"] != written["untrained"]["abs_rel"]
    assert written["constant"]["abs_rel"] < written["untrained"]["abs_rel"]
    assert all(not isinstance(value, list) for value in written.values())


def test_table_of_images_averages_to_the_metrics(evaluated: Any) -> None:
    world, metrics = evaluated
    with (world.root / "reports" / "nyu" / "per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == ["nyu-0", "nyu-1", "nyu-2", "nyu-3"]
    assert rows[1]["pixels"] == "0"
    assert rows[1]["trained_abs_rel"] == "nan"
    for kind in ("trained", "untrained", "constant"):
        for name in ("abs_rel", "rmse", "silog", "d1"):
            values = [float(row[f"{kind}_{name}"]) for row in rows if row["pixels"] != "0"]
            assert sum(values) / 3 == pytest.approx(metrics[kind][name], rel=1e-12)


def test_report_is_complete_and_self_contained(evaluated: Any) -> None:
    world, metrics = evaluated
    folder = world.root / "reports" / "nyu"
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        "per_image.csv",
        "per_class.csv",
        "depth_ranges.csv",
        "protocol.json",
        "pictures",
    }
    assert len(list((folder / "pictures").glob("*.png"))) == 4
    page = (folder / "report.html").read_text()
    assert metrics["split_sha256"] in page
    assert "Without a single scored pixel, and in no mean: nyu-1" in page
    assert page.count("<img src=") == page.count("data:image/png;base64,") > 4
    assert "http" not in page.replace("https://", "http")
    assert json.loads((folder / "protocol.json").read_text())["window"] == "frame"
    with (folder / "per_class.csv").open() as file:
        classes = {(row["labels"], row["name"]): row for row in csv.DictReader(file)}
    assert float(classes[("truth", "wall")]["share_of_labels"]) == pytest.approx(1 / 3)
    with (folder / "depth_ranges.csv").open() as file:
        ranges = [row for row in csv.DictReader(file) if row["predictor"] == "trained"]
    assert sum(float(row["pixels"]) for row in ranges) == metrics["num_pixels"]
    pooled = sum(float(r["abs_rel"]) * float(r["pixels"]) for r in ranges) / metrics["num_pixels"]
    assert pooled == pytest.approx(metrics["trained"]["abs_rel"], rel=0.05)


def test_again_gives_the_same_bytes(evaluated: Any, params: Params) -> None:
    world, _ = evaluated
    path = world.root / "metrics" / "nyu.json"
    before = path.read_bytes()
    run(params, "nyu", world.root)
    assert path.read_bytes() == before


def test_another_split_or_protocol_goes_beside(evaluated: Any, params: Params) -> None:
    world, _ = evaluated
    before = (world.root / "metrics" / "nyu.json").read_bytes()
    other = run(params, "nyu", world.root, protocol="nyu-multitask", split="val")
    assert other["num_images"] == 1
    assert (world.root / "metrics" / "nyu-val-nyu-multitask.json").is_file()
    assert (world.root / "reports" / "nyu-val-nyu-multitask" / "report.html").is_file()
    assert (world.root / "metrics" / "nyu.json").read_bytes() == before


def test_a_network_of_nan_gives_null_and_a_report(
    small_nyu: Any, params: Params, tmp_path: Path
) -> None:
    (tmp_path / "data").symlink_to(small_nyu.root / "data")
    save_model(tmp_path, "nyu", broken=True)
    metrics = run(params, "nyu", tmp_path)
    assert metrics["trained"]["num_images_with_nan"] == 3
    for name in ("abs_rel", "rmse", "silog", "d1"):
        assert metrics["trained"][name] is None
        assert not METRICS[name].better(metrics["trained"][name], metrics["constant"][name])
    page = (tmp_path / "reports" / "nyu" / "report.html").read_text()
    assert "not a number" in page


def test_model_of_another_data_set_is_refused(params: Params, tmp_path: Path) -> None:
    save_model(tmp_path, "nyu", of="kitti")
    with pytest.raises(SymbioError, match=r"'kitti', not of 'nyu'.*symbio train nyu"):
        run(params, "nyu", tmp_path)


def test_unknown_protocol_is_refused_before_anything_is_read(
    params: Params, tmp_path: Path
) -> None:
    with pytest.raises(SymbioError, match="nyu-eigen"):
        run(params, "nyu", tmp_path, protocol="eigen")


def test_empty_split_is_refused(evaluated: Any, params: Params) -> None:
    with pytest.raises(SymbioError, match=r"'train' has no frames; there are test, val"):
        run(params, "nyu", evaluated[0].root, split="train")
