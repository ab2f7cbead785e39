"""`python -m symbio.search.worker`: takes trial after trial of a study and trains it.

Started by the study's command (`symbio.search.supervise`), which hands over the params. Exit codes:
0 the study is complete, 75 told to stop, or the database stayed away; 2 a mistake; 1 anything else.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from symbio.environment import prepare_environment
from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import FAILED, RESUME_ME
from symbio.ranks.handed import handed_params
from symbio.ranks.launch import expected_ranks
from symbio.ranks.place import die_with_parent
from symbio.ranks.settings import settings_from
from symbio.ranks.stop import PREEMPTED, StopRequest
from symbio.ranks.warm import warm_ranks
from symbio.search.objectives import objectives_of
from symbio.search.plan import Plan, ablation_plan, search_plan
from symbio.search.study import opened_study, work
from symbio.search.tracked import study_record
from symbio.search.trial import Trainer, forget_checkpoints, study_folder
from symbio.search.turn import turn_of
from symbio.tracking import sending_behind


def arguments_of(plan: Plan, root: Path) -> list[str]:
    """The command line of a worker on `plan`, after `python -m symbio.search.worker`."""
    suite = [] if plan.suite is None else ["--suite", plan.suite]
    given = ["--study", plan.name, "--trials", str(plan.trials), "--root", str(root)]
    return [plan.dataset, *suite, *given]


def main(arguments: Sequence[str] | None = None) -> int:
    """Be a worker; returns the exit code."""
    die_with_parent()
    prepare_environment()
    parser = argparse.ArgumentParser(prog="python -m symbio.search.worker", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--suite")
    parser.add_argument("--study", required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        params = handed_params(given.root)
        if given.suite is None:
            plan = search_plan(params, given.dataset, given.trials, given.study)
        else:
            plan = ablation_plan(params, given.dataset, given.suite, given.study)
        return 0 if _work(plan, given.root) else RESUME_ME
    except SymbioError as error:
        say(str(error))
        return error.exit_code
    except Exception:
        traceback.print_exc()
        return FAILED


def _work(plan: Plan, root: Path) -> bool:
    stop = StopRequest()
    stop.install()
    settings = settings_from(root=root)
    folder, objectives = study_folder(root, plan), objectives_of(plan)
    record = study_record(folder)

    def told_to_stop() -> None:
        stop.reason = PREEMPTED

    trainer = Trainer(
        plan, objectives, root, settings, record, lambda: _pass_on(stop), told_to_stop
    )
    with sending_behind(), warm_ranks():
        return work(
            opened_study(folder, plan),
            plan,
            trainer.train,
            turn_of(folder, plan.name),
            stopped=lambda: stop.reason is not None,
            after=lambda number: forget_checkpoints(root, plan, number),
            ranks=expected_ranks(settings),
        )


def _pass_on(stop: StopRequest) -> None:
    """Pass on a request that came when a training was about to take over the signals."""
    if stop.reason is not None:
        stop.reason = None
        signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    code = main()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    raise SystemExit(code)
