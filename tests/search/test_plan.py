"""What a study is made of is checked, to the last value, before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from symbio.errors import SymbioError
from symbio.params import Params, load_params
from symbio.presets import PRESETS
from symbio.ranks.settings import Settings
from symbio.search.check import check
from symbio.search.keys import changed, write_params
from symbio.search.plan import ablation_plan, search_plan
from tests.search.project import SPACE, SUITE, study_params
from tests.train.project import make_project

ONE = Settings(ranks=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


def test_a_good_plan_passes_and_leaves_nothing_behind(root: Path) -> None:
    before = sorted(root.rglob("*"))
    check(search_plan(study_params(), "nyu"), root, ONE)
    check(ablation_plan(study_params(), "nyu", "suite"), root, ONE)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("key", "dimension", "message"),
    [
        ("train.lr", {"type": "float", "low": 2, "high": 1}, "range is empty: low .2. .* 1"),
        ("train.lr", {"type": "float", "low": 1, "high": 1}, "range is empty"),
        ("train.lr", {"type": "float", "low": 1}, "needs low and high"),
        ("train.lr", {"type": "float", "low": 0, "high": 1, "log": True}, "log needs low above 0"),
        ("train.steps", {"type": "int", "low": 1, "high": 2.5}, "whole numbers"),
        ("train.precision", {"type": "categorical", "choices": []}, "needs choices"),
        ("train.lr", {"type": "normal", "low": 1, "high": 2}, "'float', 'int' or 'categorical'"),
        ("train.lr", {"type": "float", "lo": 1, "high": 2}, "lo: unknown key"),
    ],
)
def test_an_impossible_range_is_named(key: str, dimension: dict[str, Any], message: str) -> None:
    with pytest.raises(SymbioError, match=rf"search\.space\.{key}.*{message}"):
        study_params({"space": {**SPACE, key: dimension}})


@pytest.mark.parametrize(
    ("key", "dimension", "message"),
    [
        ("train.learing_rate", None, "train.learing_rate names no parameter"),
        ("train.learning", None, "names no parameter"),
        ("train.weight_deca", None, r"did you mean train\.weight_decay\?"),
        ("train.augment", None, "train.augment names no parameter"),
        ("teacher.min_confidence", None, "no trial can change teacher.min_confidence"),
        ("nyu.protocol", None, "no trial can change nyu.protocol"),
        ("kitti.image_size", None, "no trial can change kitti.image_size"),
        ("search.trials", None, "no trial can change search.trials"),
        ("train.lr", {"type": "float", "low": -1, "high": 1}, r"train\.lr = -1.*greater than 0"),
        (
            "model.symbiosis.heads",
            {"type": "categorical", "choices": [2, 3]},
            r"model\.symbiosis\.heads = 3: .*channels .16. must be divisible",
        ),
        (
            "nearfarmix.mix",
            {"type": "categorical", "choices": ["none", "cutmixx"]},
            r"nearfarmix\.mix = 'cutmixx': .*no mix 'cutmixx'; there are none, nearfarmix",
        ),
        (
            "model.symbiosis.exchange",
            {"type": "categorical", "choices": ["both", "all"]},
            "exchange = 'all': .*both",
        ),
        (
            "train.batch",
            {"type": "categorical", "choices": [2, 3]},
            r"batch = 3: .*must be a multiple of micro_batch",
        ),
    ],
)
def test_what_no_trial_can_be_is_named_before_the_first(
    root: Path, key: str, dimension: dict[str, Any] | None, message: str
) -> None:
    some = dimension or {"type": "float", "low": 0.1, "high": 0.2}
    params = study_params({"space": {**SPACE, key: some}})
    with pytest.raises(SymbioError, match=f"(?s)search.space.*{message}") as caught:
        check(search_plan(params, "nyu"), root, ONE)
    assert caught.value.exit_code == 2
    assert not (root / "searches").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.learing_rate": 1}, "variants.odd: train.learing_rate names no parameter"),
        ({"train.lr": -1}, "(?s)variants.odd: .*greater than 0"),
        ({"nearfarmix.mix": "mixup"}, "variants.odd: nearfarmix.mix: no mix 'mixup'"),
        ({"seed": 3}, "variants.odd: seed comes from ablations.suite.seeds"),
    ],
)
def test_a_bad_variant_is_named_before_the_first_trial(
    root: Path, changes: dict[str, Any], message: str
) -> None:
    variants = {**SUITE["variants"], "odd": changes}
    params = study_params(suite={**SUITE, "variants": variants})
    with pytest.raises(SymbioError, match=message):
        check(ablation_plan(params, "nyu", "suite"), root, ONE)


def test_what_else_can_be_wrong_is_said(root: Path, tmp_path: Path) -> None:
    params = study_params()
    with pytest.raises(SymbioError, match=r"no suite 'colour' .* there are: suite"):
        ablation_plan(params, "nyu", "colour")
    with pytest.raises(SymbioError, match=r"search\.space: is empty"):
        search_plan(study_params({"space": {}}), "nyu")
    with pytest.raises(SymbioError, match=r"--trials 0"):
        search_plan(params, "nyu", 0)
    with pytest.raises(SymbioError, match="'../x'"):
        search_plan(params, "nyu", name="../x")
    with pytest.raises(SymbioError, match=r"search\.objectives: .* 'beauty'; there are abs_rel"):
        check(search_plan(study_params({"objectives": ["beauty"]}), "nyu"), root, ONE)
    with pytest.raises(SymbioError, match=r"train\.batch \(4\) .*3 ranks"):
        check(search_plan(params, "nyu"), root, Settings(ranks=3))
    with pytest.raises(SymbioError, match="--hostfile"):
        check(search_plan(params, "nyu"), root, Settings(ranks=1, nodes=2, master=("h", 1)))
    with pytest.raises(SymbioError, match="symbio prepare nyu"):
        check(search_plan(params, "nyu"), tmp_path, ONE)
    make_project(tmp_path, {"train": 4, "test": 1})
    with pytest.raises(SymbioError, match=r"nyu\.val_share"):
        check(search_plan(params, "nyu"), tmp_path, ONE)
    with pytest.raises(SymbioError, match="seed appears twice"):
        study_params(suite={**SUITE, "seeds": [1, 1]})


def test_a_grid_is_a_whole_round_of_variants_for_each_seed() -> None:
    cells = ablation_plan(study_params(), "nyu", "suite").cells
    assert [(cell.variant, cell.seed) for cell in cells] == [
        ("none", 3), ("plain", 3), ("none", 1), ("plain", 1),
    ]  # fmt: skip
    assert cells[3].changes == {
        "model.symbiosis.exchange": "full", "nearfarmix.mix": "none", "seed": 1,
    }  # fmt: skip


def test_a_data_set_adds_to_the_base_and_to_the_variants() -> None:
    here = {
        "base": {"train.steps": 6, "nyu.image_size": [32, 32]},
        "variants": {
            "plain": {"nearfarmix.mix": "cutmix"},
            "only-here": {"model.semantics": False},
        },
    }
    suite = {**SUITE, "base": {"train.steps": 8, "train.lr": 0.01}, "on": {"nyu": here}}
    params = study_params(suite=suite)
    nyu, kitti = (ablation_plan(params, dataset, "suite") for dataset in ("nyu", "kitti"))

    assert nyu.base == {"train.steps": 6, "train.lr": 0.01, "nyu.image_size": [32, 32]}
    assert list(nyu.variants) == ["none", "plain", "only-here"]
    assert nyu.variants["plain"] == {
        "model.symbiosis.exchange": "full", "nearfarmix.mix": "cutmix",
    }  # fmt: skip
    assert nyu.trials == len(nyu.cells) == 6
    assert kitti.base == {"train.steps": 8, "train.lr": 0.01}
    assert kitti.variants == SUITE["variants"]
    assert kitti.trials == len(kitti.cells) == 4


def test_a_trials_own_changes_stand_over_the_base_and_the_base_over_the_project() -> None:
    params = study_params(suite={**SUITE, "base": {"train.steps": 8, "nearfarmix.mix": "cutmix"}})
    plan = ablation_plan(params, "nyu", "suite")
    none, plain = (plan.params_of(cell.changes, cell.variant) for cell in plan.cells[:2])
    assert (none.train.steps, none.nearfarmix.mix, none.seed) == (8, "cutmix", 3)
    assert (plain.train.steps, plain.nearfarmix.mix) == (8, "none")
    assert none.train.lr == params.train.lr
    searched = search_plan(study_params({"base": {"train.steps": 8}}), "nyu")
    assert searched.params_of({"train.lr": 1e-3}, "here").train.steps == 8
    assert (searched.cells, searched.variants, searched.baseline) == ([], {}, None)


def test_the_baseline_is_a_variant_and_without_a_word_the_first() -> None:
    assert ablation_plan(study_params(), "nyu", "suite").baseline == "none"
    named = study_params(suite={**SUITE, "baseline": "plain"})
    assert ablation_plan(named, "nyu", "suite").baseline == "plain"
    with pytest.raises(
        SymbioError, match=r"ablations\.suite: baseline 'nothing' is no variant; .* none, plain"
    ):
        study_params(suite={**SUITE, "baseline": "nothing"})


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ({"sun": {}}, r"on\.sun.*'nyu' or 'kitti'"),
        ({"nyu": {"bases": {}}}, r"on\.nyu\.bases: unknown key"),
    ],
)
def test_additions_for_no_data_set_or_of_no_kind_are_refused(
    on: dict[str, Any], message: str
) -> None:
    with pytest.raises(SymbioError, match=rf"ablations\.suite\.{message}"):
        study_params(suite={**SUITE, "on": on})


def test_a_written_params_file_differs_in_the_changed_keys_alone(tmp_path: Path) -> None:
    base = load_params(PRESETS / "sample.yaml")
    changes = {"train.lr": 1.25e-5, "train.augment.crop": [96, 96], "seed": 3}
    write_params(changed(base, changes, "here"), tmp_path / "params.yaml", "a title")
    expected = yaml.safe_load((PRESETS / "sample.yaml").read_text())
    expected["train"]["lr"], expected["seed"] = 1.25e-5, 3
    expected["train"]["augment"]["crop"] = [96, 96]
    assert yaml.safe_load((tmp_path / "params.yaml").read_text()) == expected
    loaded = load_params(tmp_path / "params.yaml")
    assert isinstance(loaded, Params)
    assert (loaded.train.lr, loaded.train.augment.crop) == (1.25e-5, (96, 96))
