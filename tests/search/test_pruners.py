"""Who is ended early, against the rule written out plainly."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest

from symbio.search.plan import Plan, ablation_plan, search_plan
from symbio.search.pruners import pruner_for
from tests.search.project import study_params

STEPS = {"train.steps": 90, "train.validate_every": 10}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def plan_of(**search: Any) -> Plan:
    return search_plan(study_params({"base": STEPS, **search}), "nyu")


def ends(plan: Plan, curves: list[list[float]]) -> list[int]:
    """The step at which each of some trainings ends, one after another."""
    # Hyperband deals trials to its ladders by the name of the study.
    study = optuna.create_study(study_name=plan.name, pruner=pruner_for(plan))
    found = []
    for curve in curves:
        trial = study.ask()
        for step, value in zip(range(10, 91, 10), curve, strict=True):
            trial.report(value, step)
            if step < 90 and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
        found.append(step)
    return found


def test_halving_lets_the_best_third_so_far_go_on_at_10_and_at_30_steps() -> None:
    draws = random.Random(4)
    curves = [[draws.random() for _ in range(9)] for _ in range(60)]
    expected, rungs = [], {10: list[float](), 30: list[float]()}
    for curve in curves:
        end = 90
        for step, values in rungs.items():
            value = curve[step // 10 - 1]
            values.append(value)
            # The rank that still goes on; of the first two trials the better one.
            if sorted(values).index(value) >= max(len(values) // 3, 1):
                end = step
                break
        expected.append(end)
    assert ends(plan_of(pruner="asha"), curves) == expected
    assert set(expected) == {10, 30, 90}
    assert expected[0] == 90


def test_hyperband_gives_some_trainings_more_steps_before_it_judges_them() -> None:
    # Each is worse than all before it: whoever is judged at 10 steps ends there, but the first.
    curves = [[float(number)] * 9 for number in range(60)]
    found = ends(plan_of(pruner="hyperband"), curves)
    assert {10, 30} <= set(found)
    assert found.count(10) > found.count(30)
    halved = ends(plan_of(pruner="asha"), curves)
    assert halved == [90, *[10] * 59]


def test_median_ends_the_worse_half_from_the_sixth_trial_on() -> None:
    curves = [[float(number)] * 9 for number in (1, 2, 3, 4, 5, 4, 2)]
    assert ends(plan_of(pruner="median"), curves) == [90, 90, 90, 90, 90, 10, 90]


def test_without_a_pruner_and_in_an_ablation_nothing_ends_early() -> None:
    curves = [[float(number)] * 9 for number in range(8)]
    assert ends(plan_of(pruner="none"), curves) == [90] * 8
    params = study_params({"pruner": "asha"})
    assert ends(ablation_plan(params, "nyu", "suite"), curves) == [90] * 8
