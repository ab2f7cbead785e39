"""The study's own run in the tracking store, in which its trials are nested."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.files import whole_file
from symbio.search.plan import Plan
from symbio.search.result import BEST_FILE, FINISHED, JSON_FILE, TABLE_FILE, Result
from symbio.tracking import experiment_name, record_run, send_quietly
from symbio.tracking.record import JOURNAL, RunRecord

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
        result: as it stands; the score of each trial becomes a metric, its number the step.
    """
    own = folder / FOLDER
    _write_journal(own / JOURNAL, result)
    files = [folder / name for name in (JSON_FILE, TABLE_FILE, BEST_FILE)]
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


def _write_journal(path: Path, result: Result) -> None:
    """One line a trial; the same trial gives the same line, so that it is stored once."""
    lines = [
        {"step": row.number, "time": row.ended, "metrics": {f"val/{result.metric}": row.score}}
        for row in result.rows
        if row.state == FINISHED
    ]
    with whole_file(path) as aside:
        aside.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
