"""Order, interruptions and ends of trials, with a real study and a score by formula."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.ranks.ending import RESUME_ME, OutOfMemory
from symbio.search import claims
from symbio.search.attributes import CHANGES, CLAIM, SEED, VARIANT
from symbio.search.claims import Beat
from symbio.search.objectives import Objective
from symbio.search.plan import Plan, ablation_plan, search_plan
from symbio.search.result import Row, result_of
from symbio.search.storage import DATABASE, experiments
from symbio.search.study import MOST_LOSSES, is_complete, open_study, work
from symbio.search.tracked import share_run, study_record
from symbio.search.turn import turn_of
from tests.search.project import SUITE, study_params

Formula = Callable[[optuna.Trial, Params], float | None]
ABS_REL = Objective("abs_rel", higher_is_better=False)


def score(_trial: optuna.Trial, params: Params) -> float:
    """Best at a learning rate of 1e-3."""
    return abs(math.log10(params.train.lr) + 3) + params.model.symbiosis.window / 100


def opened(folder: Path, plan: Plan) -> optuna.Study:
    """The study as a process of its own would open it."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = {"seed": plan.params.seed, "search.objectives": ["abs_rel"]}
    return open_study(folder, plan, recipe, [ABS_REL])


def conduct(folder: Path, plan: Plan, formula: Formula) -> bool:
    """Be a worker whose trainings are a formula; one that gives None is told to stop there."""

    def train(trial: optuna.Trial, params: Params, _beat: Beat) -> list[float] | None:
        value = formula(trial, params)
        return None if value is None else [value]

    return work(opened(folder, plan), plan, train, turn_of(folder, plan.name))


def rows(folder: Path, plan: Plan) -> list[Row]:
    return list(result_of(opened(folder, plan), plan, [ABS_REL], folder).rows)


def run(folder: Path, plan: Plan, formula: Formula = score) -> list[dict[str, Any]]:
    conduct(folder, plan, formula)
    return [row.changes for row in rows(folder, plan)]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_gives_the_same_trials_however_often_it_is_interrupted(
    tmp_path: Path, sampler: str
) -> None:
    # More trials than TPE draws at random: the later ones depend on the scores.
    plan = search_plan(study_params({"sampler": sampler, "trials": 14}), "nyu")
    straight = run(tmp_path / "straight", plan)
    assert len({str(changes) for changes in straight}) == 14

    started: list[tuple[int, float]] = []

    def interrupted(trial: optuna.Trial, params: Params) -> float | None:
        started.append((trial.number, params.train.lr))
        stops = started.count(started[-1]) == 1 and trial.number in (0, 4, 11, 13)
        return None if stops else score(trial, params)

    folder, starts = tmp_path / "interrupted", 0
    while not is_complete(opened(folder, plan), plan):
        starts += 1
        conduct(folder, plan, interrupted)
    assert starts == 5
    assert [row.changes for row in rows(folder, plan)] == straight
    # An interrupted trial came back under its own number and params, and counts once.
    assert [number for number, _ in started] == sorted([*range(14), 0, 4, 11, 13])
    assert len(set(started)) == 14
    assert {row.state for row in rows(folder, plan)} == {"finished"}


def test_another_seed_gives_other_trials_and_more_trials_continue(tmp_path: Path) -> None:
    params = study_params()
    three = run(tmp_path / "one", search_plan(params, "nyu"))
    five = run(tmp_path / "one", search_plan(params, "nyu", trials=5))
    assert five[:3] == three
    assert len(five) == 5
    other = search_plan(params.model_copy(update={"seed": 6}), "nyu")
    assert run(tmp_path / "two", other) != three


def test_a_crash_before_a_trials_params_are_known_changes_nothing(tmp_path: Path) -> None:
    plan = search_plan(study_params({"trials": 4}), "nyu")
    straight = run(tmp_path / "straight", plan)
    folder = tmp_path / "crashed"
    run(folder, search_plan(plan.params, "nyu", trials=2))
    # As a kill right after Optuna made the trial leaves it.
    with experiments():
        opened(folder, plan).ask()
    assert run(folder, plan) == straight


@pytest.mark.parametrize("drawn", [1, 9])
def test_after_a_crash_while_params_are_drawn_the_drawn_ones_stand(
    tmp_path: Path, drawn: int
) -> None:
    plan = search_plan(study_params({"sampler": "random", "trials": 4}), "nyu")
    straight, folder = run(tmp_path / "straight", plan), tmp_path / "crashed"
    half: list[str] = []

    def until_the_second(trial: optuna.Trial, params: Params) -> float | None:
        if trial.number == 1 and not half:
            raise KeyboardInterrupt
        return score(trial, params)

    with pytest.raises(KeyboardInterrupt):
        conduct(folder, plan, until_the_second)
    # As if it had been killed before that trial was claimed: some params stand, the rest does not.
    study = opened(folder, plan)
    kept = list(study.trials[1].params)[:drawn]
    half += list(study.trials[1].params)[drawn:]
    with sqlite3.connect(folder / DATABASE) as database:
        marks = ",".join("?" * len(half))
        database.execute(
            f"delete from trial_params where trial_id = 2 and param_name in ({marks})", half
        )
        database.execute(
            "delete from trial_user_attributes where trial_id = 2 and key in (?, ?)",
            (CHANGES, CLAIM),
        )
    half.append("crashed")
    found = run(folder, plan)
    assert {key: found[1][key] for key in kept} == {key: straight[1][key] for key in kept}
    assert found[1] == study.trials[1].params
    assert [found[0], *found[2:]] == [straight[0], *straight[2:]]
    assert drawn == 1 or found == straight


def test_a_crash_between_announcing_a_cell_and_taking_it_loses_nothing(tmp_path: Path) -> None:
    plan = ablation_plan(study_params(), "nyu", "suite")
    study, last = opened(tmp_path, plan), plan.cells[-1]

    def all_but_one() -> bool:
        return len(study.trials) == len(plan.cells) - 1

    def train(trial: optuna.Trial, params: Params, _beat: Beat) -> list[float]:
        return [score(trial, params)]

    assert not work(study, plan, train, turn_of(tmp_path, plan.name), all_but_one)
    attributes = {VARIANT: last.variant, SEED: last.seed, CHANGES: last.changes}
    study.enqueue_trial({}, user_attrs=attributes)
    assert conduct(tmp_path, plan, score)
    found = rows(tmp_path, plan)
    assert [(row.variant, row.seed) for row in found] == [(c.variant, c.seed) for c in plan.cells]
    assert {row.state for row in found} == {"finished"}


def test_a_failing_trial_is_recorded_and_the_study_goes_on(tmp_path: Path) -> None:
    def second_fails(trial: optuna.Trial, params: Params) -> float:
        if trial.number == 1:
            raise SymbioError("3 steps in a row were skipped")
        return score(trial, params)

    plan = search_plan(study_params(), "nyu")
    run(tmp_path, plan, second_fails)
    found = rows(tmp_path, plan)
    assert [row.state for row in found] == ["finished", "failed", "finished"]
    assert (found[1].score, found[1].message) == (None, "3 steps in a row were skipped")
    assert run(tmp_path, plan) == [row.changes for row in found]
    assert [row.state for row in rows(tmp_path, plan)] == ["finished", "failed", "finished"]


def test_combined_values_that_params_refuse_fail_their_trial_alone(tmp_path: Path) -> None:
    number = {"type": "categorical", "choices": [2, 4]}
    space = {"train.batch": number, "train.micro_batch": number}
    plan = search_plan(study_params({"space": space, "trials": 12}), "nyu")
    run(tmp_path, plan)
    default, *drawn = rows(tmp_path, plan)
    assert (default.variant, default.changes) == ("default", {})
    for row in drawn:
        fits = row.changes["train.batch"] % row.changes["train.micro_batch"] == 0
        assert row.state == ("finished" if fits else "failed")
        assert fits or "must be a multiple of micro_batch" in str(row.message)
    assert {row.state for row in drawn} == {"finished", "failed"}


def test_a_trial_that_loses_processes_is_continued_a_few_times(tmp_path: Path) -> None:
    starts = 0

    def lost(trial: optuna.Trial, params: Params) -> float:
        nonlocal starts
        if trial.number == 1:
            starts += 1
            raise SymbioError("rank 0 was killed by SIGKILL", RESUME_ME)
        return score(trial, params)

    plan = search_plan(study_params(), "nyu")
    run(tmp_path, plan, lost)
    found = rows(tmp_path, plan)
    assert [row.state for row in found] == ["finished", "failed", "finished"]
    assert starts == 1 + MOST_LOSSES
    assert found[1].message == "rank 0 was killed by SIGKILL"
    assert found[1].losses == MOST_LOSSES


def test_a_trial_worse_than_the_median_is_pruned(tmp_path: Path) -> None:
    def validated(trial: optuna.Trial, _params: Params) -> float:
        value = 9.0 if trial.number == 6 else 1.0 + trial.number / 100
        trial.report(value, 2)
        if trial.should_prune():
            raise optuna.TrialPruned
        return value

    for pruner, state in (("median", "pruned"), ("none", "finished")):
        plan = search_plan(study_params({"pruner": pruner, "trials": 7}), "nyu")
        run(tmp_path / pruner, plan, validated)
        last = rows(tmp_path / pruner, plan)[6]
        assert (last.state, last.score) == (state, 9.0)


def test_a_trial_out_of_memory_is_infeasible_and_the_sampler_keeps_away(tmp_path: Path) -> None:
    space = {"model.channels": {"type": "int", "low": 4, "high": 64, "step": 4}}

    def hungry(trial: optuna.Trial, params: Params) -> float:
        channels = params.model.channels
        if channels > 32:
            raise OutOfMemory("rank 0 ran out of memory", peak_bytes=channels * 2**20)
        return 1.0 / channels  # the more the better, as far as they fit

    plan = search_plan(study_params({"space": space, "trials": 30}), "nyu")
    assert conduct(tmp_path, plan, hungry)
    found = rows(tmp_path, plan)
    hurt = [row for row in found if row.state == "infeasible"]
    assert hurt
    assert len(found) == 30
    for row in found:
        too_many = row.changes.get("model.channels", 0) > 32
        assert row.state == ("infeasible" if too_many else "finished")
        assert (row.score is None) == too_many
        assert row.peak_bytes == (row.changes["model.channels"] * 2**20 if too_many else None)
    result = result_of(opened(tmp_path, plan), plan, [ABS_REL], tmp_path)
    assert result.best is not None
    assert result.best.changes["model.channels"] <= 32
    # Half of the space is too large: even draws would give nine or ten after the random start.
    assert sum(row.state == "infeasible" for row in found[11:]) <= 6


def test_no_trial_begins_when_the_hours_are_spent(tmp_path: Path) -> None:
    def slow(trial: optuna.Trial, params: Params) -> float:
        time.sleep(0.3)
        return score(trial, params)

    plan = search_plan(study_params({"trials": 9, "hours": 0.7 / 3600}), "nyu")
    assert conduct(tmp_path, plan, slow)
    assert [row.state for row in rows(tmp_path, plan)] == ["finished"] * 3


def test_a_trial_of_a_silent_host_is_taken_over_and_that_host_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT_S", 0.05)
    plan = search_plan(study_params({"trials": 2}), "nyu")
    alone: list[Beat] = []

    def hangs(trial: optuna.Trial, params: Params, beat: Beat) -> list[float] | None:
        alone.append(beat)
        # As the database and the others see a host that lost power: another machine's claim,
        # and no heartbeat for an hour.
        trial.set_user_attr(CLAIM, {**trial.user_attrs[CLAIM], "host": "another"})
        with sqlite3.connect(tmp_path / DATABASE) as database:
            database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")
        assert conduct(tmp_path, plan, score)
        until = time.monotonic() + 10
        while not beat.taken_away:
            assert time.monotonic() < until
            time.sleep(0.01)
        raise SymbioError("another worker has this trial now", RESUME_ME)

    study, turn = opened(tmp_path, plan), turn_of(tmp_path, plan.name)
    assert work(study, plan, hangs, turn)
    assert len(alone) == 1
    found = rows(tmp_path, plan)
    assert [(row.state, row.losses) for row in found] == [("finished", 0), ("finished", 0)]


def test_an_ablation_trains_each_cell_once_and_new_seeds_are_added(tmp_path: Path) -> None:
    plan = ablation_plan(study_params(), "nyu", "suite")
    seen: list[tuple[str, str, int]] = []

    def noted(_trial: optuna.Trial, params: Params) -> float | None:
        seen.append((params.model.symbiosis.exchange, params.nearfarmix.mix, params.seed))
        return None if len(seen) == 2 else 0.5

    assert not conduct(tmp_path, plan, noted)
    assert conduct(tmp_path, plan, noted)
    none, plain = ("none", "nearfarmix"), ("full", "none")
    assert seen == [(*none, 3), (*plain, 3), (*plain, 3), (*none, 1), (*plain, 1)]

    more = ablation_plan(study_params(suite={**SUITE, "seeds": [3, 1, 8]}), "nyu", "suite")
    assert conduct(tmp_path, more, noted)
    assert seen[5:] == [(*none, 8), (*plain, 8)]
    assert [row.seed for row in rows(tmp_path, more)] == [3, 3, 1, 1, 8, 8]


def test_another_study_in_the_folder_is_refused_with_the_differences(tmp_path: Path) -> None:
    plan = search_plan(study_params(), "nyu")
    one = [ABS_REL]
    open_study(tmp_path, plan, {"seed": 5, "train.steps": 4, "variant a": {"x": 1}}, one)
    with pytest.raises(SymbioError, match=r"train\.steps: 4 -> 8") as caught:
        open_study(tmp_path, plan, {"seed": 5, "train.steps": 8, "variant a": {"x": 1}}, one)
    assert "--study" in str(caught.value)
    assert "seed" not in str(caught.value)
    open_study(tmp_path, plan, {"seed": 5, "train.steps": 4, "variant b": {"x": 2}}, one)


def test_a_folder_of_trials_that_another_storage_knows_is_refused(tmp_path: Path) -> None:
    plan = search_plan(study_params(), "nyu")
    share_run(tmp_path, opened(tmp_path, plan), plan)
    run_key = study_record(tmp_path).key
    share_run(tmp_path, opened(tmp_path, plan), plan)
    assert study_record(tmp_path).key == run_key
    # As where SYMBIO_STUDIES names a database now, and did not then.
    (tmp_path / DATABASE).unlink()
    with pytest.raises(SymbioError, match="SYMBIO_STUDIES"):
        share_run(tmp_path, opened(tmp_path, plan), plan)
    # A host with a folder of its own shares the study's run.
    study = opened(tmp_path / "one", plan)
    share_run(tmp_path / "one", study, plan)
    share_run(tmp_path / "two", study, plan)
    assert study_record(tmp_path / "two").key == study_record(tmp_path / "one").key
