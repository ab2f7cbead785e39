"""The verbs `symbio search` and `symbio ablate`."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks.ending import FAILED as FAILED_CODE
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.settings import Settings
from symbio.search.attributes import LINEAGE
from symbio.search.check import check
from symbio.search.leader import Leader
from symbio.search.objectives import objectives_of
from symbio.search.plan import Plan, ablation_plan, search_plan
from symbio.search.result import TABLE_FILE, Result
from symbio.search.storage import patiently
from symbio.search.study import open_study
from symbio.search.supervise import supervise
from symbio.search.tracked import share_run
from symbio.search.trial import study_folder
from symbio.search.turn import turn_of
from symbio.tracking.record import FAILED, FINISHED, KILLED
from symbio.train.claim import recipe_of
from symbio.train.paths import Paths

if TYPE_CHECKING:
    import optuna


def search(
    params: Params,
    dataset: str,
    root: Path,
    settings: Settings,
    trials: int | None = None,
    name: str | None = None,
    workers: int = 1,
) -> int:
    """Search for better params, or go on with it.

    Args:
        params: of the project; the section `search` says what is tried.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        settings: on which ranks and hosts each trial trains.
        trials: in all, instead of `search.trials`.
        name: of the study; None: the data set's.
        workers: trials that are trained at once by this command. The same command elsewhere adds
            more to the same study.

    Returns:
        0 when all trials have ended, 75 when it was told to stop: the same command goes on.

    Raises:
        SymbioError: a mistake in params; another study is there; no trial finished (exit_code 1);
            workers were lost, or the database stayed away (75).
    """
    return _run(search_plan(params, dataset, trials, name), root, settings, workers)


def ablate(
    params: Params,
    dataset: str,
    suite: str,
    root: Path,
    settings: Settings,
    name: str | None = None,
    workers: int = 1,
) -> int:
    """Train every variant of a suite with every seed, or go on with it; as `search`."""
    return _run(ablation_plan(params, dataset, suite, name), root, settings, workers)


def recipe_of_study(plan: Plan, root: Path) -> dict[str, Any]:
    """What makes trials comparable: the base params, the data, and what is varied how."""
    base = plan.params_of({}, f"{plan.verb} base")
    recipe = recipe_of(base, Paths(root, plan.dataset))
    section = plan.params.search.model_dump(mode="json")
    names = ("objectives",) if plan.suite else ("objectives", "sampler", "pruner", "space")
    recipe |= {f"search.{name}": section[name] for name in names}
    return recipe | {f"variant {name}": changes for name, changes in plan.variants.items()}


def _run(plan: Plan, root: Path, settings: Settings, workers: int) -> int:
    from symbio.lineage.collect import collect

    if workers < 1:
        raise SymbioError(f"--workers {workers}: give a whole number, 1 or more")
    check(plan, root, settings)
    folder, recipe = study_folder(root, plan), recipe_of_study(plan, root)
    inputs = [f"data/{stage}/{plan.dataset}" for stage in ("prepared", "pseudo")]
    tags = collect(root, plan.params, inputs, dataset=plan.dataset).tags()
    with _signals_noted() as asked:
        study = patiently(lambda: _opened(folder, plan, recipe, tags))
        with Leader(study, plan, folder, root, recipe, tags) as leader:
            leader.refresh()
            status = KILLED
            try:
                done = supervise(plan, root, settings, workers, asked, leader.refresh)
                leader.refresh()
                result = leader.result()
                status = _status(result) if done else KILLED
            finally:
                leader.write(leader.result(), status)
    if not done:
        say(f"{plan.name}: stopped; the same command goes on")
        return RESUME_ME
    sys.stdout.write((folder / TABLE_FILE).read_text(encoding="utf-8"))
    if status == FAILED:
        raise SymbioError(f"{folder}: {_why_nothing(result)}", FAILED_CODE)
    return 0


def _opened(
    folder: Path, plan: Plan, recipe: Mapping[str, Any], tags: Mapping[str, str]
) -> optuna.Study:
    with turn_of(folder, plan.name)():
        study = open_study(folder, plan, recipe, objectives_of(plan))
        if LINEAGE not in study.user_attrs:
            study.set_user_attr(LINEAGE, dict(tags))
        share_run(folder, study, plan)
    return study


def _status(result: Result) -> str:
    return FINISHED if result.finished else FAILED


def _why_nothing(result: Result) -> str:
    reasons = Counter(row.message for row in result.rows if row.message is not None)
    told = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"none of {len(result.rows)} trials finished{told}"


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Take note of SIGINT and SIGTERM, in their order; `supervise` heeds them."""
    asked: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, frame: asked.append(number)) for n in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
