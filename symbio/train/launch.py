"""Starting the ranks of a training run and telling how the run ended."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.launch import launch as launch_ranks
from symbio.ranks.local import Work
from symbio.ranks.settings import PROFILE_VARIABLE, STEP_TIMEOUT_VARIABLE, Settings
from symbio.tell import TELL_VARIABLE
from symbio.train.batching import accumulation
from symbio.train.paths import Paths
from symbio.train.records.status import EXIT_CODES, read_status, write_status

RUN_ID_VARIABLE = "SYMBIO_RUN_ID"
"""Environment variable: names a start of a run in its journal."""

_ORDERLY = ("finished", "preempted", "interrupted")


def launch(
    params: Params,
    dataset: str,
    root: Path,
    settings: Settings,
    resume: str = "auto",
    while_running: Callable[[], None] = lambda: None,
    run_id: str | None = None,
) -> int:
    """Run `python -m symbio.train` on all ranks, started again as `settings` allow, to its end.

    Args:
        params: of the run.
        dataset: "nyu" or "kitti".
        root: the project's folder.
        settings: on which hosts, how often to start again.
        resume: "auto" or a step, from which only the first start continues.
        while_running: called several times a second.
        run_id: names this start in the journal.

    Returns:
        0 finished, 75 stopped on request: the same command continues.

    Raises:
        SymbioError: the run failed; the message is that of the rank that failed first. Its
            exit_code is 75 if a process or host was lost, so that the same command continues.
    """
    environment = {
        PARAMS_VARIABLE: params.model_dump_json(),
        RUN_ID_VARIABLE: run_id or new_run_id(),
        **{
            name: os.environ[name]
            for name in (STEP_TIMEOUT_VARIABLE, PROFILE_VARIABLE, TELL_VARIABLE)
            if name in os.environ
        },
    }
    common = [dataset, "--root", str(root)]
    work = Work(
        f"train {dataset}",
        "symbio.train",
        [*common, "--resume", resume],
        environment,
        arguments_again=[*common, "--resume", "auto"],
    )
    verdict = launch_ranks(work, settings, root, lambda world: _check(params, world), while_running)
    run = Paths(root, dataset).run
    status = read_status(run) if run.is_dir() else None
    if verdict.message is None:
        # Orderly: the file is the truth, exit codes only repeat it.
        known = status is not None and status["state"] in _ORDERLY
        return EXIT_CODES[status["state"]] if known and status is not None else verdict.code
    if status is not None and status["state"] == "running" and settings.node_rank == 0:
        write_status(run, **{**status, "state": "failed", "message": verdict.message})
    if verdict.stopped:
        say(verdict.message)
        return RESUME_ME
    raise SymbioError(verdict.message, verdict.code)


def new_run_id() -> str:
    """A name that no other start has."""
    return uuid.uuid4().hex


def _check(params: Params, world: int) -> None:
    accumulation(params.train, world)
