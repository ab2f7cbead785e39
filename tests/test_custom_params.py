"""The section `custom` of params.yaml: names of data sets of one's own, and what they may say."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from symbio.errors import SymbioError
from symbio.params import dataset_argument, dataset_names, parse_params, section_in, section_key
from symbio.presets import PRESETS
from symbio.search.keys import changed, value_at
from symbio.search.plan import search_plan

SECTION: dict[str, Any] = {
    "raw": "data/raw/mine",
    "image_size": [64, 96],
    "depth_range": [0.5, 12.0],
    "protocol": "none",
    "val_share": 0.1,
}


def _values(name: str = "mine", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((PRESETS / "sample.yaml").read_text())
    return {**values, "custom": {name: {**SECTION, **changes}}}


def test_a_section_of_ones_own_is_a_data_set_like_any_other() -> None:
    params = parse_params(_values(), "params")
    assert params.datasets == ("nyu", "kitti", "mine")
    assert params.dataset("mine").image_size == (64, 96)
    assert [section_key(name) for name in params.datasets] == ["nyu", "kitti", "custom.mine"]
    assert section_in(_values(), "mine") == SECTION
    assert section_in(_values(), "other") == {}
    with pytest.raises(SymbioError, match=r"no data set 'other'; there are nyu, kitti, mine"):
        params.dataset("other")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("nyu", {}, r"custom.nyu: the name is taken"),
        ("tracking", {}, r"custom.tracking: the name is taken"),
        ("My-Set", {}, r"custom.My-Set.*: String should match pattern"),
        ("a/b", {}, r"custom.a/b.*: String should match pattern"),
        ("mine", {"layout": "sync"}, r"custom.mine.layout: 'sync' was found, allowed: custom"),
        ("mine", {"train_list": "a.txt"}, r"custom.mine.train_list: .*dataset.yaml"),
        ("mine", {"depth": "filled"}, r"custom.mine.depth: is of nyu and kitti only"),
        ("mine", {"imagesize": 3}, r"custom.mine.imagesize: unknown key"),
        ("mine", {"val_share": 1.0}, r"custom.mine.val_share: .*found 1.0"),
    ],
)
def test_what_cannot_be_is_named(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SymbioError, match=message):
        parse_params(_values(name, **changes), "params")


def test_what_dvc_reads_of_every_data_set_may_stand_there() -> None:
    written = {"layout": "custom", "train_list": None, "test_list": None, "depth": "raw"}
    parse_params(_values(**written), "params")


def test_additions_to_a_study_name_a_data_set_that_is_there() -> None:
    values = _values()
    values["search"]["on"]["mine"] = {"custom.mine.image_size": [32, 64]}
    plan = search_plan(parse_params(values, "params"), "mine")
    assert plan.params_of({}, "trial").dataset("mine").image_size == (32, 64)
    del values["custom"]
    with pytest.raises(SymbioError, match=r"search\.on\.mine: no .* expected 'nyu' or 'kitti'"):
        parse_params(values, "params")


def test_a_dotted_key_reaches_into_the_section() -> None:
    params = parse_params(_values(), "params")
    other = changed(params, {"custom.mine.image_size": [32, 64]}, "here")
    assert value_at(other, "custom.mine.image_size") == (32, 64)
    assert params.dataset("mine").image_size == (64, 96)
    with pytest.raises(SymbioError, match=r"custom.yours.image_size names no parameter"):
        value_at(params, "custom.yours.image_size")


def test_names_are_known_where_params_do_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert dataset_names(tmp_path) == ("nyu", "kitti")
    values = copy.deepcopy(_values())
    values["train"]["steps"] = "many"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    assert dataset_names(tmp_path) == ("nyu", "kitti", "mine")
    monkeypatch.chdir(tmp_path)
    assert dataset_argument("mine") == "mine"
    with pytest.raises(argparse.ArgumentTypeError, match=r"there are nyu, kitti, mine"):
        dataset_argument("yours")
