"""The ablations that ship: what they hold fixed, and that every variant can be built."""

from __future__ import annotations

import pytest
import torch

from symbio.errors import SymbioError
from symbio.model.encoder import Encoder
from symbio.params import DATASETS, Params, load_params
from symbio.presets import PRESETS
from symbio.search.keys import check_key, value_at
from symbio.search.plan import Plan, ablation_plan
from symbio.train.choices import chosen_network

PARAMS = {path.stem: load_params(path) for path in sorted(PRESETS.glob("*.yaml"))}
SUITES = ("symbiosis", "mix", "labels", "encoders", "label-spaces")


def plans(suite: str) -> list[Plan]:
    return [ablation_plan(each, dataset, suite) for each in PARAMS.values() for dataset in DATASETS]


def built(params: Params, dataset: str) -> torch.nn.Module:
    """The network without its weights: no memory, no download."""
    model = params.model.model_copy(update={"pretrained": False})
    with torch.device("meta"):
        return chosen_network(params.model_copy(update={"model": model}), dataset)


def test_both_presets_ask_the_same_questions() -> None:
    for params in PARAMS.values():
        assert tuple(params.ablations) == SUITES
    for suite in ("symbiosis", "mix", "labels", "label-spaces"):
        sample, paper = (PARAMS[name].ablations[suite] for name in ("sample", "paper"))
        assert list(sample.variants) == list(paper.variants)
        assert sample.baseline == paper.baseline


@pytest.mark.parametrize("suite", SUITES)
def test_every_cell_holds(suite: str) -> None:
    for plan in plans(suite):
        assert plan.baseline in plan.variants
        assert len(plan.variants) >= 2
        for key in plan.base:
            check_key(key, plan.dataset, "base")
        for cell in plan.cells:
            for key in cell.changes:
                check_key(key, plan.dataset, cell.variant)
            params = plan.params_of(cell.changes, cell.variant)
            for key, value in cell.changes.items():
                assert value_at(params, key) == value


@pytest.mark.parametrize("suite", SUITES)
def test_variants_train_on_as_much_with_the_same_optimiser(suite: str) -> None:
    """Nothing but the question differs: size, steps, batch and rate are those of the baseline."""
    for plan in plans(suite):
        fixed = set()
        different = set()
        for cell in plan.cells:
            params = plan.params_of(cell.changes, cell.variant)
            fixed.add((params.train, params.dataset(plan.dataset), params.nearfarmix.probability))
            different.add((params.model, params.nearfarmix, params.labels))
        assert len(fixed) == 1
        assert len(different) == len(plan.variants), "two variants are one"


def test_what_ships_is_compared() -> None:
    for params in PARAMS.values():
        symbiosis, mix = (params.ablations[suite].variants for suite in ("symbiosis", "mix"))
        assert {each["model.symbiosis.exchange"] for each in symbiosis.values()} == {
            "none", "convolution", "full", "local", "global", "both",
        }  # fmt: skip
        assert {each.get("model.symbiosis.directions") for each in symbiosis.values()} == {
            None, "sgt", "dgt",
        }  # fmt: skip
        assert {each["nearfarmix.mix"] for each in mix.values()} == {
            "none", "nearfarmix", "random", "cutmix", "classmix", "depthmix",
        }  # fmt: skip


def test_every_kind_of_network_is_built_offline() -> None:
    for suite in ("symbiosis", "labels", "label-spaces"):
        plan = ablation_plan(PARAMS["sample"], "nyu", suite)
        variants = (plan.params_of(changes, name) for name, changes in plan.variants.items())
        different = {(params.model, params.labels.space): params for params in variants}
        for params in different.values():
            built(params, "nyu")


@pytest.mark.parametrize("preset", list(PARAMS))
def test_every_encoder_is_built_offline_down_to_stride_4(preset: str) -> None:
    plan = ablation_plan(PARAMS[preset], "kitti", "encoders")
    size = plan.params_of({}, "base").kitti.image_size
    for changes in plan.variants.values():
        with torch.device("meta"):
            encoder = Encoder(changes["model.encoder"], pretrained=False, image_size=size)
        assert encoder.strides in ((2, 4, 8, 16, 32), (4, 8, 16, 32))


def test_a_preset_without_its_own_base_trains_as_the_project_does() -> None:
    for dataset in DATASETS:
        for suite in SUITES:
            assert ablation_plan(PARAMS["paper"], dataset, suite).base == {}
    with pytest.raises(SymbioError, match="there are: symbiosis, mix, labels"):
        ablation_plan(PARAMS["paper"], "nyu", "colour")
