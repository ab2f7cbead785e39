"""`python -m tests.search.formula_worker FOLDER TRIALS`: a worker whose trainings are a formula.

Each takes half a second in five reports; what it does is noted in FOLDER/notes, a line an event.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import optuna

from symbio.params import Params
from symbio.progress import say
from symbio.ranks.stop import StopRequest
from symbio.search.claims import Beat
from symbio.search.objectives import Objective
from symbio.search.plan import Plan, search_plan
from symbio.search.storage import patiently
from symbio.search.study import open_study, work
from symbio.search.turn import turn_of
from tests.search.project import study_params

ABS_REL = Objective("abs_rel", higher_is_better=False)
REPORTS = 5


def plan_of(trials: int) -> Plan:
    """A search of `trials` trials."""
    return search_plan(study_params({"trials": trials}), "nyu")


def opened(folder: Path, plan: Plan) -> optuna.Study:
    """The study, made by the first who asks."""
    folder.mkdir(parents=True, exist_ok=True)
    with turn_of(folder, plan.name)():
        return open_study(folder, plan, {"seed": plan.params.seed}, [ABS_REL])


def note(folder: Path, *words: object) -> None:
    """Append a line, whole, whoever else writes."""
    with (folder / "notes").open("a", encoding="utf-8") as file:
        file.write(" ".join(map(str, (os.getpid(), *words))) + "\n")


def main() -> int:
    """Work until the study is complete."""
    folder, trials = Path(sys.argv[1]), int(sys.argv[2])
    plan, stop = plan_of(trials), StopRequest()
    stop.install()

    def train(trial: optuna.Trial, params: Params, beat: Beat) -> list[float] | None:
        note(folder, "begin", trial.number, params.train.lr)
        known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for step in range(len(known), REPORTS):
            time.sleep(0.1)
            if stop.reason is not None:
                return None
            value = abs(params.train.lr - 1e-3) + 1.0 / (step + 1)
            patiently(lambda step=step, value=value: trial.report(value, step))  # type: ignore[misc]
        note(folder, "end", trial.number)
        return [abs(params.train.lr - 1e-3)]

    study = patiently(lambda: opened(folder, plan))
    done = work(study, plan, train, turn_of(folder, plan.name), lambda: stop.reason is not None)
    say("complete" if done else "stopped")
    return 0 if done else 75


if __name__ == "__main__":
    raise SystemExit(main())
