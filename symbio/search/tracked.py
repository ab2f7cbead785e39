"""The study's own run in the tracking store, in which its trials are nested."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.search.attributes import RUN_KEY
from symbio.search.plan import Plan
from symbio.search.result import BEST_FILE, FINISHED, JSON_FILE, PAGE_FILE, TABLE_FILE, Result
from symbio.search.storage import STUDIES_VARIABLE
from symbio.tracking import experiment_name, record_run, send_quietly
from symbio.tracking.record import JOURNAL, RunRecord, read_record, record_before

if TYPE_CHECKING:
    import optuna

FOLDER = "tracking"


def track_study(
    folder: Path,
    root: Path,
    plan: Plan,
    recipe: Mapping[str, Any],
    tags: Mapping[str, str],
    status: str,
    result: Result,
) -> RunRecord:
    """Bring the study's run up to date; a store that is away costs one line.

    Args:
        folder: of the study.
        root: the project's folder.
        plan: what the study is made of.
        recipe: what does not change while it is under way; a store refuses params that do.
        tags: where it comes from.
        status: RUNNING, FINISHED, KILLED or FAILED.
        result: as it stands; the scores of each trial become metrics, its number the step.
    """
    own = folder / FOLDER
    own.mkdir(parents=True, exist_ok=True)
    _write_journal(own / JOURNAL, result)
    files = [folder / name for name in (JSON_FILE, TABLE_FILE, PAGE_FILE, BEST_FILE)]
    record = record_run(
        own,
        root,
        experiment=experiment_name(plan.dataset),
        name=plan.name,
        status=status,
        params=recipe,
        tags={
            **tags,
            "symbio.stage": plan.verb,
            "symbio.dataset": plan.dataset,
            "symbio.study": plan.name,
            "symbio.trials": str(plan.trials),
            "mlflow.source.name": plan.title,
            "mlflow.source.type": "LOCAL",
        },
        journals=(own / JOURNAL,),
        artifacts={path: "study" for path in files if path.is_file()},
    )
    send_quietly(own, root)
    return record


def share_run(folder: Path, study: optuna.Study, plan: Plan) -> None:
    """Give the study one run, whichever hosts work on it in whichever folders. Hold the turn.

    Raises:
        SymbioError: the folder is another study's.
    """
    own, key = folder / FOLDER, study.user_attrs.get(RUN_KEY)
    known = record_before(own)
    if known is not None and known.key != key:
        raise SymbioError(
            f"{folder}: holds the trials of a study that is kept in another place; set or unset "
            f"{STUDIES_VARIABLE} as it was then, give this one a name (--study), or remove the "
            "folder"
        )
    if key is None:
        key = uuid.uuid4().hex
        study.set_user_attr(RUN_KEY, key)
    if known is None:
        own.mkdir(parents=True, exist_ok=True)
        RunRecord(experiment_name(plan.dataset), plan.name, key).write(own)


def study_record(folder: Path) -> RunRecord:
    """The run of the study in `folder`. Raises SymbioError where there is none."""
    return read_record(folder / FOLDER)


def _write_journal(path: Path, result: Result) -> None:
    """One line a trial; the same trial gives the same line, so that it is stored once."""
    lines = []
    for row in result.rows:
        if row.state == FINISHED:
            scores = zip(result.objectives, row.values, strict=True)
            metrics = {f"val/{one.metric}": value for one, value in scores}
            lines.append({"step": row.number, "time": row.ended, "metrics": metrics})
    with whole_file(path) as aside:
        aside.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
