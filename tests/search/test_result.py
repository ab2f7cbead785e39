"""What a study's storage says, read back; against Optuna's own answers and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from symbio.params import load_params
from symbio.search import attributes
from symbio.search.objectives import Objective
from symbio.search.plan import ablation_plan, search_plan
from symbio.search.result import Result, result_of
from tests.search.project import study_params
from tests.search.studies import add_trial, new_study

ABS_REL, MIOU = Objective("abs_rel", False), Objective("pseudo_miou", True)


def test_every_way_in_which_a_trial_can_stand(tmp_path: Path) -> None:
    study = new_study(storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    add_trial(study, {}, 0.2, variant=attributes.DEFAULT, scores={"abs_rel": 0.2, "rmse": 1.5})
    add_trial(study, {"train.lr": 1e-3}, 0.3, state=TrialState.PRUNED, curve={20: 0.3, 10: 0.4})
    out_of_memory = {attributes.INFEASIBLE: 1.0}
    add_trial(
        study, {}, state=TrialState.PRUNED, constraints=out_of_memory, peak_bytes=5, message="full"
    )
    add_trial(study, {}, state=TrialState.FAIL, message="it broke", losses=2)
    add_trial(study, {}, state=TrialState.RUNNING, claim={"pid": 1}, worker="host:1")
    add_trial(study, {}, state=TrialState.RUNNING, claim=None)
    add_trial(study, {}, state=TrialState.WAITING)
    study.set_user_attr(attributes.RECIPE, {"data.prepared": "0" * 64})

    result = result_of(study, search_plan(study_params(), "nyu"), [ABS_REL], tmp_path)
    states = ["finished", "pruned", "infeasible", "failed", "running", "interrupted", "waiting"]
    assert [row.state for row in result.rows] == states
    assert [row.is_over for row in result.rows] == [True] * 4 + [False] * 3
    own, pruned, infeasible, failed, running, *_ = result.rows
    assert result.default is own
    assert (own.scores["rmse"], own.seconds, own.rank_seconds) == (1.5, 60.0, 60.0)
    assert pruned.curve == ((10, 0.4), (20, 0.3))
    assert (infeasible.peak_bytes, infeasible.message) == (5, "full")
    assert (failed.message, failed.losses, running.worker) == ("it broke", 2, "host:1")
    # What was pruned, or did not end, is never an answer.
    assert [row.number for row in result.finished] == [0]
    assert result.recipe == {"data.prepared": "0" * 64}
    assert result.trial_folder(pruned) == tmp_path / "trial-0001"


@pytest.mark.parametrize(("objective", "best"), [(ABS_REL, 1), (Objective("d1", True), 0)])
def test_the_best_trial_and_its_params(tmp_path: Path, objective: Objective, best: int) -> None:
    study = new_study("maximize" if objective.higher_is_better else "minimize")
    for lr, score in ((1e-3, 0.4), (2e-3, 0.2), (5e-3, 0.2), (6e-3, 0.4)):
        add_trial(study, {"train.lr": lr}, score)
    worse = 0.9 if objective.higher_is_better else 0.1
    add_trial(study, {"train.lr": 3e-3}, worse, state=TrialState.PRUNED)
    params = study_params({"base": {"train.steps": 2}})
    result_of(study, search_plan(params, "nyu"), [objective], tmp_path).write(tmp_path)

    values = json.loads((tmp_path / "result.json").read_text())
    assert values["best"] == best
    assert values["trials"][best]["score"] == values["trials"][best]["values"][0]
    written = load_params(tmp_path / "best-params.yaml")
    # What made trials cheap is no part of what was found.
    train = params.train.model_copy(update={"lr": (1e-3, 2e-3)[best]})
    assert written == params.model_copy(update={"train": train})


def test_the_front_is_the_one_that_optuna_finds(tmp_path: Path) -> None:
    study = new_study("minimize", "maximize")
    draw = np.random.default_rng(3)
    for first, second in draw.integers(0, 30, (40, 2)).tolist():
        add_trial(study, {"train.lr": 1e-3}, float(first), float(second))
    add_trial(study, {}, state=TrialState.FAIL)
    params = study_params({"objectives": ["abs_rel", "miou"]})
    result = result_of(study, search_plan(params, "nyu"), [ABS_REL, MIOU], tmp_path)
    assert [row.number for row in result.front] == [trial.number for trial in study.best_trials]
    assert len(result.front) > 1
    assert result.best in result.front
    assert result.best is not None
    assert result.best.values[0] == min(trial.values[0] for trial in study.best_trials)


def test_an_ablation_has_no_best_params(tmp_path: Path) -> None:
    study = new_study()
    for seed in (3, 1):
        for variant in ("none", "plain"):
            add_trial(study, {"seed": seed}, 0.1 * seed, variant=variant, seed=seed)
    plan = ablation_plan(study_params(), "nyu", "suite")
    result_of(study, plan, [ABS_REL], tmp_path).write(tmp_path)
    values = json.loads((tmp_path / "result.json").read_text())
    assert "best" not in values
    assert [(row["variant"], row["seed"]) for row in values["trials"]][:2] == [
        ("none", 3),
        ("plain", 3),
    ]
    assert not (tmp_path / "best-params.yaml").exists()


def test_a_study_that_has_only_begun(tmp_path: Path) -> None:
    study = new_study()
    for plan in (search_plan(study_params(), "nyu"), ablation_plan(study_params(), "nyu", "suite")):
        result: Result = result_of(study, plan, [ABS_REL], tmp_path)
        result.write(tmp_path)
        assert result.best is None
        assert "None yet" in (tmp_path / "result.md").read_text()
        assert (tmp_path / "result.html").is_file()
    assert not (tmp_path / "best-params.yaml").exists()
