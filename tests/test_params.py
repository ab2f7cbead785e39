"""params.yaml is checked before anything starts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from symbio.errors import SymbioError
from symbio.params import Params, load_params, parse_params

ROOT = Path(__file__).parents[1]


@pytest.fixture
def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return copy.deepcopy(loaded)


@pytest.mark.parametrize(
    "path", [*(ROOT / "symbio" / "presets").glob("*.yaml"), ROOT / "params.yaml"]
)
def test_every_params_file_that_ships_holds(path: Path) -> None:
    assert isinstance(load_params(path), Params)


def test_committed_params_are_the_sample_preset() -> None:
    sample = ROOT / "symbio" / "presets" / "sample.yaml"
    assert (ROOT / "params.yaml").read_bytes() == sample.read_bytes()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.learing_rate", 1.0, "train.learing_rate: unknown key"),
        ("train.btach", 1, "did you mean 'batch'"),
        ("nearfarmix.probability", 1.5, "nearfarmix.probability: .* less than or equal to 1 .*1.5"),
        ("nearfarmix.probability", True, "nearfarmix.probability: .*True"),
        ("train.batch", 0, "train.batch: .*found 0"),
        ("train.batch", 7, "train: batch .7. must be a multiple of micro_batch"),
        ("train.lr", -1.0, "train.lr: .*found -1"),
        ("train.lr", "fast", "train.lr: .*found 'fast'"),
        ("train.precision", "fp8", "train.precision: .*'fp32' or 'bf16'.*found 'fp8'"),
        ("model.encoder", 3, "model.encoder: .*found 3"),
        ("model.channels", 30, "channels .30. must be divisible by symbiosis.heads"),
        ("nyu.depth_range", [10.0, 1.0], "nyu: depth_range needs low < high"),
        ("nyu.image_size", [0, 160], "nyu.image_size.0"),
        ("nearfarmix.threshold.high", 0.1, "nearfarmix.threshold: low .* must not exceed high"),
        ("seed", None, "seed: .*found None"),
        ("promote.metric", "abs_err", "promote.metric: .*'abs_rel'.*found 'abs_err'"),
        ("promote.metric", "pseudo_miou", "promote.metric: .*found 'pseudo_miou'"),
        ("promote.min_gain", -0.1, "promote.min_gain: .*found -0.1"),
        ("promote.no_loss_beyond", {"rmse": -1.0}, "promote.no_loss_beyond.rmse: .*found -1"),
        ("promote.no_loss_beyond", {"rms": 0.1}, "promote.no_loss_beyond.rms.*'rmse'"),
        ("promote.no_loss_beyond", {"abs_rel": 0.1}, "promote: no_loss_beyond .*abs_rel. itself"),
    ],
)
def test_bad_value_is_named_with_what_was_found(
    values: dict[str, Any], path: str, value: Any, message: str
) -> None:
    *sections, key = path.split(".")
    place = values
    for section in sections:
        place = place[section]
    place[key] = value
    with pytest.raises(SymbioError, match=message):
        parse_params(values, "params.yaml")


def test_missing_key_is_named(values: dict[str, Any]) -> None:
    del values["train"]["steps"]
    with pytest.raises(SymbioError, match="train.steps: missing"):
        parse_params(values, "params.yaml")


def test_exponent_without_a_point_is_a_number(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("lr: 3.0e-3", "lr: 1e-4")
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert load_params(path).train.lr == 1e-4


@pytest.mark.parametrize("text", ["a: [1", "!!python/object/apply:os.getcwd []", "- 1", ""])
def test_what_is_no_params_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(SymbioError, match=r"params\.yaml"):
        load_params(path)


def test_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match="symbio preset sample"):
        load_params(tmp_path / "params.yaml")
