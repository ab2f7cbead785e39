"""A search that cannot work is refused before its first trial, with what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from symbio.errors import SymbioError
from symbio.params import load_params
from symbio.presets import PRESETS
from symbio.ranks.settings import Settings
from symbio.search.check import check
from symbio.search.objectives import Objective, objectives_of
from symbio.search.plan import ablation_plan, search_plan
from tests.search.project import SPACE, SUITE, study_params
from tests.train.project import make_project

ONE = Settings(ranks=1)
MIX, WINDOW = "nearfarmix.mix", "model.symbiosis.window"
LR = SPACE["train.lr"]
PROBABILITY = {"type": "float", "low": 0.1, "high": 0.5}
OVERLAP = {"type": "categorical", "choices": ["first", "blend"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


def refused(root: Path, message: str, space: dict[str, Any] | None = None, **search: Any) -> None:
    train = search.pop("train", {})
    section = {**({} if space is None else {"space": space}), **search}
    params = study_params(section, **train)
    with pytest.raises(SymbioError, match=f"(?s){message}") as caught:
        check(search_plan(params, "nyu"), root, ONE)
    assert caught.value.exit_code == 2
    assert not (root / "searches").exists()


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "asha"), ("cmaes", "hyperband"), ("qmc", "median"), ("grid", "none"),
        ("random", "asha"),
    ],
)  # fmt: skip
def test_a_sound_search_passes_with_every_sampler_and_pruner(
    root: Path, sampler: str, pruner: str
) -> None:
    space: dict[str, Any] = {WINDOW: SPACE[WINDOW]}
    space["train.warmup_share"] = {"type": "float", "low": 0.1, "high": 0.5, "step": 0.1}
    base = {"train.steps": 8, "train.validate_every": 2}
    own = {"warmup_share": 0.2}
    search = {"sampler": sampler, "pruner": pruner, "space": space, "base": base}
    check(search_plan(study_params(search, **own), "nyu"), root, ONE)


def test_conditions_that_can_hold_pass(root: Path) -> None:
    space = {
        MIX: SPACE[MIX],
        "nearfarmix.probability": {**PROBABILITY, "when": {MIX: ["cutmix"]}},
        # A parameter that is the same in all trials may name values for another day.
        WINDOW: {**SPACE[WINDOW], "when": {"model.symbiosis.exchange": ["local", "both"]}},
    }
    check(search_plan(study_params({"space": space}), "nyu"), root, ONE)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"nearfarmix.mixx": ["cutmix"]}, r"probability: when: nearfarmix\.mixx names no param"),
        ({"nyu.protocol": ["none"]}, r"when: no trial can change nyu\.protocol"),
        ({MIX: ["cutmixx"]}, r"when nearfarmix\.mix: it is never 'cutmixx', but 'none', 'cutmix'"),
        ({MIX: ["cutmix", "classmix"]}, r"never 'classmix'"),
        ({"model.semantics": [False]}, r"when model\.semantics: it is never False, but True"),
        ({"train.lr": [1e-3]}, r"when train\.lr: .*range without step is met by chance"),
        ({"nearfarmix.probability": [0.1]}, r"conditions of nearfarmix\.probability .*circle"),
    ],
)
def test_a_condition_that_never_holds_is_refused(
    root: Path, when: dict[str, Any], message: str
) -> None:
    refused(root, message, {**SPACE, "nearfarmix.probability": {**PROBABILITY, "when": when}})


def test_conditions_that_depend_on_each_other_are_refused(root: Path) -> None:
    circle = {
        MIX: {**SPACE[MIX], "when": {"nearfarmix.overlap": ["first"]}},
        "nearfarmix.overlap": {**OVERLAP, "when": {MIX: ["cutmix"]}},
    }
    refused(root, r"conditions of nearfarmix\.mix, nearfarmix\.overlap .*circle", circle)
    # Each can hold alone, but the overlap is drawn with cutmix only and its own is another.
    apart = {
        MIX: SPACE[MIX],
        "nearfarmix.overlap": {**OVERLAP, "when": {MIX: ["cutmix"]}},
        "nearfarmix.blend_alpha": {
            "type": "float", "low": 0.2, "high": 0.8,
            "when": {MIX: ["none"], "nearfarmix.overlap": ["blend"]},
        },
    }  # fmt: skip
    refused(root, r"blend_alpha: when: no trial meets .*mix, .*overlap together", apart)


def test_a_dimension_is_tried_where_it_counts(root: Path) -> None:
    # 3 heads divide no 16 channels, but 24, and are drawn with 24 alone.
    heads = {"type": "categorical", "choices": [1, 3]}
    channels = {"type": "categorical", "choices": [16, 24]}
    space = {"model.channels": channels, "model.symbiosis.heads": heads}
    refused(root, r"model\.symbiosis\.heads = 3: .*must be divisible", space)
    space["model.symbiosis.heads"] = {**heads, "when": {"model.channels": [24]}}
    check(search_plan(study_params({"space": space}), "nyu"), root, ONE)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"base": {"train.step": 4}}, r"search\.base .or search\.on\.nyu.: train\.step names no"),
        ({"base": {"train.lr": 1e-3}}, r"train\.lr is set for all trials in search\.base"),
        ({"on": {"nyu": {"train.steps": -1}}}, r"search\.base.*train\.steps.*greater than"),
        ({"sampler": "grid"}, r"a grid needs finitely many values, but train\.lr"),
        ({"sampler": "cmaes"}, r"cmaes needs ranges of numbers .* nearfarmix\.mix is categorical"),
        ({"sampler": "cmaes", "space": {"train.lr": LR}}, "cmaes needs two parameters"),
        (
            {
                "sampler": "cmaes",
                "space": {"train.lr": {**LR, "high": 2e-4}, WINDOW: SPACE[WINDOW]},
            },
            r"the project's own value of train\.lr \(0\.0005\) in its range",
        ),
        (
            {"sampler": "cmaes", "objectives": ["abs_rel", "rmse"]},
            "cmaes optimises one objective",
        ),
        ({"sampler": "grid", "space": {MIX: SPACE[MIX]}, "trials": 4}, r"only 2 points besides"),
        (
            {"sampler": "grid", "space": {"train.steps": {"type": "int", "low": 1, "high": 20000}}},
            "at most 10000 points; .* qmc",
        ),
        ({"pruner": "asha", "base": {"train.validate_every": 4}}, r"\(4\) is not below .* \(4\)"),
        (
            {"pruner": "median", "space": {"train.steps": {"type": "int", "low": 4, "high": 8}}},
            r"median compares trials at the same steps .*train\.steps differ",
        ),
        ({"objectives": ["beauty"]}, r"search\.objectives: .* 'beauty'; there are abs_rel"),
        (
            {"objectives": ["miou"], "base": {"model.semantics": False}},
            r"search\.base: search\.objectives: no miou .*model\.semantics is false",
        ),
        (
            {
                "objectives": ["rmse", "miou"],
                "space": {"labels.share": {"type": "categorical", "choices": [0.5, 0.0]}},
            },
            r"labels\.share = 0\.0: .*no miou .*labels\.share is 0",
        ),
        (
            {
                "objectives": ["miou"],
                "space": {"labels.space": {"type": "categorical", "choices": ["ade20k", "nyu40"]}},
            },
            r"take labels\.space out of search\.space",
        ),
    ],
)
def test_a_search_that_could_not_end_well_is_refused(
    root: Path, search: dict[str, Any], message: str
) -> None:
    refused(root, message, train={"steps": 4, "lr": 5e-4}, **search)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"objectives": []}, r"search\.objectives: .*at least 1 item"),
        ({"objectives": ["rmse", "rmse"]}, "an objective appears twice"),
        ({"objectives": ["rmse", "d1"], "pruner": "asha"}, "'asha' compares .* one score.*none"),
        ({"hours": 0.0}, r"search\.hours: .*greater than 0"),
        ({"sampler": "bayes"}, r"search\.sampler: .*'tpe', 'cmaes'"),
        ({"metric": "rmse"}, r"search\.metric: unknown key"),
        ({"on": {"nuscenes": {}}}, r"search\.on\.nuscenes"),
    ],
)
def test_params_that_contradict_themselves_are_refused_when_they_are_read(
    search: dict[str, Any], message: str
) -> None:
    with pytest.raises(SymbioError, match=f"(?s){message}"):
        study_params(search)


@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"type": "float", "low": 0.1, "high": 0.75, "step": 0.1}, r"\(0.75\) is no whole number"),
        ({"type": "int", "low": 2, "high": 7, "step": 2}, "is no whole number of steps"),
        ({"type": "categorical", "choices": [1, 2, 1]}, "a choice appears twice"),
        ({"type": "categorical", "choices": [1, True]}, "a choice appears twice"),
        ({"type": "float", "low": 1, "high": 2, "when": {MIX: []}}, "at least 1 item"),
    ],
)
def test_an_impossible_dimension_is_named(dimension: dict[str, Any], message: str) -> None:
    with pytest.raises(SymbioError, match=rf"(?s)search\.space\.train\.lr.*{message}"):
        study_params({"space": {"train.lr": dimension}})
    # 8 x 0.1 is 0.8, whatever binary fractions say.
    fine = {"type": "float", "low": 0.0, "high": 0.8, "step": 0.1}
    study_params({"space": {"train.lr": fine}})


def test_objectives_have_the_names_and_directions_of_validation() -> None:
    params = study_params({"objectives": ["abs_rel", "d1", "miou"]})
    assert objectives_of(search_plan(params, "nyu")) == [
        Objective("abs_rel", False), Objective("d1", True), Objective("pseudo_miou", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ({"base": {"train.stepz": 1}}, r"ablations\.suite\.base .*train\.stepz names no parameter"),
        ({"base": {"seed": 1}}, r"ablations\.suite\.base: seed comes from ablations\.suite\.seeds"),
        ({"base": {"train.lr": -1}}, r"ablations\.suite\.variants\.none.*greater than 0"),
        ({"on": {"nyu": {"variants": {"odd": {"seed": 1}}}}}, r"variants\.odd: seed comes from"),
    ],
)
def test_an_ablation_that_cannot_be_is_refused(
    root: Path, suite: dict[str, Any], message: str
) -> None:
    params = study_params(suite={**SUITE, **suite})
    with pytest.raises(SymbioError, match=f"(?s){message}"):
        check(ablation_plan(params, "nyu", "suite"), root, ONE)


def test_the_spaces_that_ship_hold(root: Path) -> None:
    for name in ("sample", "paper"):
        check(search_plan(load_params(PRESETS / f"{name}.yaml"), "nyu"), root, ONE)
