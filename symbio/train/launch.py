"""Starting the ranks of a training run and telling how the run ended."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME, OutOfMemory
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.launch import launch as launch_ranks
from symbio.ranks.local import Work
from symbio.ranks.settings import (
    PROFILE_VARIABLE,
    RANK_MEMORY_VARIABLE,
    STEP_TIMEOUT_VARIABLE,
    Settings,
)
from symbio.tell import TELL_VARIABLE
from symbio.train.batching import accumulation
from symbio.train.lock import run_lock
from symbio.train.paths import Paths
from symbio.train.records.status import EXIT_CODES, read_status, write_status

RUN_ID_VARIABLE = "SYMBIO_RUN_ID"
"""Environment variable: names a start of a run in its journal."""

_LESS = "lower train.micro_batch (the global batch stays) or image_size, or use more ranks"

_ORDERLY = ("finished", "preempted", "interrupted", "abandoned")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended that did not fail."""

    code: int
    """0: finished or abandoned; 75: stopped on request, the same command continues."""
    stopped: bool
    """Whether a signal asked it to stop, even where that came too late to matter."""


def launch(
    params: Params,
    dataset: str,
    root: Path,
    settings: Settings,
    resume: str = "auto",
    while_running: Callable[[], None] = lambda: None,
    run_id: str | None = None,
) -> Ending:
    """Run `python -m symbio.train` on all ranks, started again as `settings` allow, to its end.

    Args:
        params: of the run.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        settings: on which hosts, how often to start again.
        resume: "auto" or a step, from which only the first start continues.
        while_running: called several times a second.
        run_id: names this start in the journal.

    Raises:
        OutOfMemory: a rank needed more memory than there is; not started again by itself.
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
    if settings.rank_memory is not None:
        environment[RANK_MEMORY_VARIABLE] = str(settings.rank_memory)
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
        code = EXIT_CODES[status["state"]] if known and status is not None else verdict.code
        return Ending(code, verdict.stopped)
    if settings.node_rank == 0:
        _note_failure(run, verdict.message)
    if verdict.out_of_memory:
        raise OutOfMemory(f"{verdict.message}; {_LESS}", verdict.peak_bytes)
    if verdict.stopped:
        say(verdict.message)
        return Ending(RESUME_ME, stopped=True)
    raise SymbioError(verdict.message, verdict.code)


def new_run_id() -> str:
    """A name that no other start has."""
    return uuid.uuid4().hex


def _note_failure(run: Path, message: str) -> None:
    """Put into the status of a run why it failed, where no rank could; not into another's."""
    with contextlib.suppress(SymbioError, OSError), run_lock(run):
        status = read_status(run)
        if status is not None and status["state"] == "running":
            write_status(run, **{**status, "state": "failed", "message": message})


def _check(params: Params, world: int) -> None:
    accumulation(params.train, world)
