"""What trials draw: conditions, the project's own values, and samplers that a number decides."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from typing import Any

import optuna
import pytest

from symbio.errors import SymbioError
from symbio.params import DimensionParams
from symbio.search.dimension import at, contains, values_of
from symbio.search.plan import Plan, search_plan
from symbio.search.pruners import pruner_for
from symbio.search.samplers import check_sampler, sampler_for
from symbio.search.space import default_values, draw
from tests.search.project import study_params

LR = {"type": "float", "low": 1e-4, "high": 1e-2, "log": True}
MIX = {"type": "categorical", "choices": ["none", "cutmix", "nearfarmix"]}
PROBABILITY = {
    "type": "float", "low": 0.1, "high": 0.4, "step": 0.1,
    "when": {"nearfarmix.mix": ["cutmix", "nearfarmix"]},
}  # fmt: skip
OVERLAP = {
    "type": "categorical", "choices": ["first", "blend"],
    "when": {"nearfarmix.mix": ["nearfarmix"], "nearfarmix.probability": [0.3, 0.4]},
}  # fmt: skip
# Children stand before their parents: the order in the file does not matter.
SPACE = {
    "nearfarmix.overlap": OVERLAP,
    "nearfarmix.probability": PROBABILITY,
    "train.lr": LR,
    "nearfarmix.mix": MIX,
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def plan_of(space: dict[str, Any] | None = None, trials: int = 16, **search: Any) -> Plan:
    """A search of params whose own lr is 1e-3, mix nearfarmix, its probability 0.3."""
    section = {"space": space or SPACE, "trials": trials, **search}
    params = study_params(section, lr=1e-3, mix={"mix": "nearfarmix", "probability": 0.3})
    return search_plan(params, "nyu")


def study_of(plan: Plan) -> optuna.Study:
    directions = ["minimize" for _ in plan.params.search.objectives]
    return optuna.create_study(directions=directions, pruner=pruner_for(plan))


def drawn(study: optuna.Study, plan: Plan, count: int) -> list[dict[str, Any]]:
    """Go on with a study to `count` trials; the score is the distance of the rate from 1e-3."""
    found = []
    for number in range(len(study.trials), count):
        study.sampler = sampler_for(plan, number)
        trial = study.ask()
        changes = draw(trial, plan)
        found.append(changes)
        distance = abs(math.log10(trial.params["train.lr"]) + 3)
        if len(study.directions) == 1:
            trial.report(distance, 10)
            trial.should_prune()  # every trial goes on: what is drawn is the question here
        study.tell(trial, [distance] * len(study.directions))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_a_parameter_is_drawn_exactly_where_its_condition_holds(sampler: str) -> None:
    changes = drawn(study_of(plan := plan_of(sampler=sampler)), plan, 60)[1:]
    for each in changes:
        mix, probability = each["nearfarmix.mix"], each.get("nearfarmix.probability")
        assert (probability is not None) == (mix != "none")
        # Written as a reader would write them, not as sums of steps.
        assert probability in (None, 0.1, 0.2, 0.3, 0.4)
        assert ("nearfarmix.overlap" in each) == (mix == "nearfarmix" and probability in (0.3, 0.4))
        assert 1e-4 <= each["train.lr"] <= 1e-2
    assert {"first", "blend"} <= {each.get("nearfarmix.overlap") for each in changes}
    assert {each["nearfarmix.mix"] for each in changes} == {"none", "cutmix", "nearfarmix"}


def test_what_is_not_drawn_has_its_own_value_for_the_conditions_of_others() -> None:
    # The mix is not searched: nearfarmix.mix is the project's, or that of base.
    space = {key: SPACE[key] for key in ("nearfarmix.probability", "train.lr")}
    assert "nearfarmix.probability" in drawn(study_of(plan := plan_of(space)), plan, 2)[1]
    without = plan_of(space, base={"nearfarmix.mix": "none"})
    assert list(drawn(study_of(without), without, 2)[1]) == ["train.lr"]
    here = plan_of(space, on={"nyu": {"nearfarmix.mix": "none"}})
    assert list(drawn(study_of(here), here, 2)[1]) == ["train.lr"]


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_trial_0_is_the_project_itself_and_the_sampler_knows_where_it_stands(sampler: str) -> None:
    plan = plan_of(sampler=sampler)
    study = study_of(plan)
    assert drawn(study, plan, 1) == [{}]
    own = {
        "train.lr": 1e-3, "nearfarmix.mix": "nearfarmix", "nearfarmix.probability": 0.3,
        "nearfarmix.overlap": "nearest",
    }  # fmt: skip
    assert default_values(plan) == {key: own[key] for key in own if key != "nearfarmix.overlap"}
    assert study.trials[0].params == default_values(plan)
    # A value of the project that the space has not: the trial is still the project's own.
    plan = plan_of({**SPACE, "nearfarmix.mix": {**MIX, "choices": ["none", "cutmix"]}})
    study = study_of(plan)
    assert drawn(study, plan, 1) == [{}]
    assert study.trials[0].params == {"train.lr": 1e-3, "nearfarmix.probability": 0.3}


@pytest.mark.parametrize("sampler", ["qmc", "random", "grid"])
def test_a_number_decides_its_draw_whoever_draws_it_and_when(sampler: str) -> None:
    space = {**SPACE, "train.lr": {"type": "categorical", "choices": [1e-4, 1e-3, 1e-2]}}
    plan = plan_of(space, sampler=sampler)
    alone = {}
    for number in (11, 3, 7):
        study = study_of(plan)
        for _ in range(number):
            study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        study.sampler = sampler_for(plan, number)
        alone[number] = draw(study.ask(), plan)
    changes = drawn(study_of(plan), plan, 12)
    assert alone == {number: changes[number] for number in alone}
    other = search_plan(plan.params.model_copy(update={"seed": 6}), "nyu")
    assert drawn(study_of(other), other, 12)[1:] != changes[1:]


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
def test_a_study_that_was_interrupted_draws_what_one_that_ran_on_draws(pruner: str) -> None:
    # Past the trials that TPE draws at random.
    plan = plan_of(pruner=pruner, base={"train.steps": 90, "train.validate_every": 10})
    whole = study_of(plan)
    straight = drawn(whole, plan, 30)
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name=whole.study_name)
    parts = []
    for until in (12, 13, 21, 30):
        # As another process opens it.
        study = optuna.load_study(
            storage=storage, study_name=whole.study_name, pruner=pruner_for(plan)
        )
        parts += drawn(study, plan, until)
    assert parts == straight


def test_a_grid_has_every_point_once_and_the_projects_own_as_trial_0() -> None:
    rates = [1e-4, 1e-3]
    space = {**SPACE, "train.lr": {"type": "categorical", "choices": rates}}
    # By hand: overlap counts for two probabilities of one mix.
    expected: list[dict[str, Any]] = []
    for rate, mix in itertools.product(rates, ("none", "cutmix", "nearfarmix")):
        point = {"train.lr": rate, "nearfarmix.mix": mix}
        if mix == "none":
            expected.append(point)
            continue
        for probability in (0.1, 0.2, 0.3, 0.4):
            inner = {**point, "nearfarmix.probability": probability}
            if mix == "nearfarmix" and probability in (0.3, 0.4):
                expected += [{**inner, "nearfarmix.overlap": each} for each in ("first", "blend")]
            else:
                expected.append(inner)
    # "nearest", the project's own overlap, is no point of this space.
    plan = plan_of(space, trials=len(expected) + 1, sampler="grid")
    check_sampler(plan)
    changes = drawn(study_of(plan), plan, plan.trials)
    assert changes[0] == {}
    assert _sorted(changes[1:]) == _sorted(expected)
    # Not in the order of the space: a part of the grid is spread over all of it.
    assert len({each["nearfarmix.mix"] for each in changes[1:7]}) == 3
    # The project's own point is trained once, as trial 0.
    both = {"type": "categorical", "choices": ["nearest", "first", "blend"]}
    own = plan_of({**space, "nearfarmix.overlap": {**OVERLAP, **both}}, trials=28, sampler="grid")
    with pytest.raises(SymbioError, match=r"search\.trials \(28\): .* 25 points .* 26 trials"):
        check_sampler(own)
    assert default_values(own) not in drawn(study_of(own), own, 26)


def _sorted(points: list[dict[str, Any]]) -> list[str]:
    return sorted(str(sorted(point.items())) for point in points)


def test_quasi_random_trials_fill_every_eighth_of_every_range() -> None:
    space = {
        "train.lr": LR,
        "train.semantic_weight": {"type": "float", "low": 0.0, "high": 2.0},
        "model.channels": {"type": "int", "low": 16, "high": 72, "step": 8},
    }
    plan = plan_of(space, sampler="qmc")
    changes = drawn(study_of(plan), plan, 17)[1:]
    for eight in (changes[:8], changes[8:]):
        logs = [math.log10(each["train.lr"]) for each in eight]
        assert sorted(int((log + 4) / 2 * 8) for log in logs) == list(range(8))
        assert sorted(int(each["train.semantic_weight"] * 4) for each in eight) == list(range(8))
        assert sorted(each["model.channels"] for each in eight) == list(range(16, 73, 8))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_samplers_that_learn_come_closer_than_chance(sampler: str) -> None:
    weight = {"type": "float", "low": 0.0, "high": 2.0}
    space = {"train.lr": LR, "train.semantic_weight": weight}

    def last_ten(kind: str, seed: int) -> float:
        plan = plan_of(space, sampler=kind)
        plan = search_plan(plan.params.model_copy(update={"seed": seed}), "nyu")
        changes = drawn(study_of(plan), plan, 50)[-10:]
        return statistics.mean(abs(math.log10(each["train.lr"]) + 3) for each in changes)

    learnt = statistics.mean(last_ten(sampler, seed) for seed in range(3))
    chance = statistics.mean(last_ten("random", seed) for seed in range(3))
    assert learnt < chance / 2


def test_several_objectives_are_drawn_for_too() -> None:
    plan = plan_of(objectives=["abs_rel", "rmse"])
    assert len(drawn(study_of(plan), plan, 20)) == 20


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "float", "low": 0.1, "high": 0.7, "step": 0.1},
        {"type": "float", "low": -1, "high": 1, "step": 0.25},
        {"type": "int", "low": 3, "high": 17, "step": 7},
        {"type": "int", "low": 2, "high": 300, "log": True},
        {"type": "float", "low": 1e-5, "high": 2, "log": True},
        {"type": "categorical", "choices": ["a", 2, None]},
    ],
)
def test_shares_of_a_dimension_are_values_of_it_in_order(fields: dict[str, Any]) -> None:
    dimension = DimensionParams.model_validate_json(json.dumps(fields))
    found = [at(dimension, index / 4096) for index in range(4096)]
    assert all(contains(dimension, value) for value in found)
    values = values_of(dimension)
    if values is None:
        assert found == sorted(found)
        assert found[0] == pytest.approx(dimension.low)
        assert found[2048] == pytest.approx(math.sqrt(1e-5 * 2))
    else:
        assert list(dict.fromkeys(found)) == list(values)
        assert not contains(dimension, 2.5)
