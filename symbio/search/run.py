"""The verbs `symbio search` and `symbio ablate`."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks.ending import FAILED as FAILED_CODE
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.settings import Settings
from symbio.ranks.stop import StopRequest
from symbio.search.check import check, scored_metric
from symbio.search.plan import Plan, ablation_plan, search_plan
from symbio.search.result import FINISHED as FINISHED_TRIAL
from symbio.search.result import TABLE_FILE, Result, result_of
from symbio.search.study import conduct, open_study
from symbio.search.tracked import track_study
from symbio.search.trial import Trainer, study_folder
from symbio.tell import tell_progress
from symbio.tracking.record import FAILED, FINISHED, KILLED, RUNNING, RunRecord
from symbio.train.claim import recipe_of
from symbio.train.lock import run_lock
from symbio.train.paths import Paths


def search(
    params: Params,
    dataset: str,
    root: Path,
    settings: Settings,
    trials: int | None = None,
    name: str | None = None,
) -> int:
    """Search for better params, or go on with it.

    Args:
        params: of the project; the section `search` says what is tried.
        dataset: "nyu" or "kitti".
        root: the project's folder.
        settings: on which ranks and hosts each trial trains.
        trials: in all, instead of `search.trials`.
        name: of the study; None: the data set's.

    Returns:
        0 when all trials have ended, 75 when it was told to stop: the same command goes on.

    Raises:
        SymbioError: a mistake in params; another study is there; no trial finished (exit_code 1);
            a process or host was lost (75).
    """
    return _run(search_plan(params, dataset, trials, name), root, settings)


def ablate(
    params: Params,
    dataset: str,
    suite: str,
    root: Path,
    settings: Settings,
    name: str | None = None,
) -> int:
    """Train every variant of a suite with every seed, or go on with it; as `search`."""
    return _run(ablation_plan(params, dataset, suite, name), root, settings)


def _run(plan: Plan, root: Path, settings: Settings) -> int:
    from symbio.evaluate.metrics import metric_named
    from symbio.lineage import collect

    check(plan, root, settings)
    metric = scored_metric(plan)
    higher_is_better = metric_named(metric).higher_is_better
    folder, recipe = study_folder(root, plan), recipe_of_study(plan, root)
    inputs = [f"data/{stage}/{plan.dataset}" for stage in ("prepared", "pseudo")]
    tags = collect(root, plan.params, inputs).tags()
    with run_lock(folder), _stop_requests() as stop:
        study = open_study(folder, plan, recipe, higher_is_better)

        def note(status: str) -> RunRecord:
            result = result_of(study, plan, metric, higher_is_better)
            result.write(folder)
            ended = sum(row.ended is not None for row in result.rows)
            tell_progress("trials", ended, max(plan.trials, ended))
            return track_study(folder, root, plan, recipe, tags, status, result)

        record = note(RUNNING)
        trainer = Trainer(plan, metric, root, settings, record, lambda: _pass_on(stop))
        status = KILLED
        try:
            done = conduct(
                study,
                plan,
                trainer.train,
                stopped=lambda: stop.reason is not None,
                after=lambda: note(RUNNING),
            )
            result = result_of(study, plan, metric, higher_is_better)
            status = _status(result) if done else KILLED
        finally:
            note(status)
    if not done:
        say(f"{plan.name}: stopped; the same command goes on")
        return RESUME_ME
    sys.stdout.write((folder / TABLE_FILE).read_text(encoding="utf-8"))
    if status == FAILED:
        raise SymbioError(f"{folder}: {_why_nothing(result)}", FAILED_CODE)
    return 0


def recipe_of_study(plan: Plan, root: Path) -> dict[str, Any]:
    """What makes trials comparable: the base params, the data, and what is varied how."""
    recipe = recipe_of(plan.params, Paths(root, plan.dataset))
    section = plan.params.search.model_dump(mode="json")
    names = ["metric"] if plan.suite else ["metric", "sampler", "pruner", "space"]
    recipe |= {f"search.{name}": section[name] for name in names}
    if plan.suite is not None:
        variants = plan.params.ablations[plan.suite].variants
        recipe |= {f"variant {name}": dict(changes) for name, changes in variants.items()}
    return recipe


def _status(result: Result) -> str:
    return FINISHED if any(row.state == FINISHED_TRIAL for row in result.rows) else FAILED


def _why_nothing(result: Result) -> str:
    reasons = Counter(row.message for row in result.rows if row.message is not None)
    told = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"none of {len(result.rows)} trials finished{told}"


@contextlib.contextmanager
def _stop_requests() -> Iterator[StopRequest]:
    """Take note of SIGINT and SIGTERM between trainings, which have handlers of their own."""
    stop = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop.install()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(stop: StopRequest) -> None:
    """Pass on a request that came when a training was about to take over the signals."""
    if stop.reason is not None:
        stop.reason = None
        signal.raise_signal(signal.SIGTERM)
