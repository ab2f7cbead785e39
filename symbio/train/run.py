"""The train stage: start the ranks, follow the journal, return the summary.

Imports neither torch nor mlflow: the ranks train, and metrics reach whoever tracks them through
`on_metrics`, from the journal, so that a slow or absent tracker costs no training step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from symbio.params import Params
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.settings import Settings, settings_from
from symbio.train.abandon import abandon, forget
from symbio.train.batching import accumulation
from symbio.train.best import export, read_best
from symbio.train.claim import finished_before, recipe_of, step_of
from symbio.train.fingerprint import fingerprint
from symbio.train.launch import Ending, launch, new_run_id
from symbio.train.lock import run_lock
from symbio.train.paths import Paths
from symbio.train.records.journal import Follower, read_journal
from symbio.train.records.status import read_status


class Enough(Exception):
    """Raised by a training's `on_metrics`: nobody wants the rest of it."""


def run(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    settings: Settings | None = None,
    resume: str = "auto",
    on_metrics: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train, or continue, and export the network to models/{dataset}.

    Args:
        params: of the run.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        settings: on which ranks and hosts; None: as the environment says.
        resume: "auto" continues this very run from its newest whole checkpoint, or starts; a
            step continues from the checkpoint of that step.
        on_metrics: gets every journal record {"step", "epoch", "time", "metrics": {...}} of the
            run once, oldest first, while training goes on; on a resume the older ones come too.
            `Enough` lets all ranks leave together, at the next step or within a validation,
            without a checkpoint; records written until then still come. Anything else that it
            raises ends the ranks at once and is passed on.

    Returns:
        state ("finished", also where `Enough` came too late; "abandoned" after `Enough`;
        "preempted", "interrupted"), exit_code (0, or 75: run it again), stopped (whether a signal
        asked it to stop, even if it came too late), step, steps, skipped, ranks, checkpoint,
        model (folder, if exported), selected (step and scores of the best network so far), last
        (the newest metrics).

    Raises:
        OutOfMemory: a rank needed more memory than there is.
        SymbioError: the run failed, or another one holds the folder.
    """
    paths = Paths(root, dataset)
    recipe = recipe_of(params, paths)
    settings = settings or settings_from(root=root)
    if settings.nodes == 1 and settings.hostfile is None:
        accumulation(params.train, settings.ranks)
    if step_of(resume) is None and finished_before(paths.run, recipe):
        return _again(paths, recipe, on_metrics)
    run_id = new_run_id()
    follower = Follower(paths.run, run_id)

    def follow() -> None:
        for record in follower.new_records():
            try:
                if on_metrics is not None:
                    on_metrics(record)
            except Enough:
                abandon(paths.run, run_id)

    try:
        ending = launch(params, dataset, root, settings, resume, follow, run_id)
    finally:
        forget(paths.run, run_id)
    return _summary(paths, recipe, ending)


def join(params: Params, dataset: str, root: Path, settings: Settings, resume: str) -> int:
    """Be one of the other hosts of a run that node 0 leads; returns the exit code.

    Raises:
        SymbioError: as `run`.
    """
    paths = Paths(root, dataset)
    if step_of(resume) is None and finished_before(paths.run, recipe_of(params, paths)):
        say(f"{paths.run}: this run is finished")
        return 0
    return launch(params, dataset, root, settings, resume).code


def _again(
    paths: Paths, recipe: dict[str, Any], on_metrics: Callable[[dict[str, Any]], None] | None
) -> dict[str, Any]:
    """A finished run: export again, replay its metrics."""
    with run_lock(paths.run):
        say(f"{paths.run}: this run is finished; exporting its network again")
        export(paths.run, paths.model, fingerprint(recipe))
    for record in read_journal(paths.run) if on_metrics is not None else []:
        with contextlib.suppress(Enough):
            on_metrics(record)  # type: ignore[misc]
    return _summary(paths, recipe, Ending(0, stopped=False))


def _summary(paths: Paths, recipe: dict[str, Any], ending: Ending) -> dict[str, Any]:
    status = read_status(paths.run) or {}
    facts = {name: status.get(name) for name in ("state", "step", "steps", "skipped", "ranks")}
    if ending.code == RESUME_ME and facts["state"] != "preempted":
        # Stopped before the ranks could say so, the status is that of an earlier start.
        facts["state"] = "interrupted"
    best = read_best(paths.run, fingerprint(recipe))
    records = read_journal(paths.run)
    last: dict[str, Any] = {}
    for record in records:
        last |= record["metrics"]
    return {
        **facts,
        "checkpoint": status.get("checkpoint"),
        "exit_code": ending.code,
        "stopped": ending.stopped,
        "model": str(paths.model) if facts["state"] == "finished" else None,
        "selected": None if best is None else best["train"],
        "last": last,
    }
