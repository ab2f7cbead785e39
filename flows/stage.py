"""The task that runs one DVC stage, or one `symbio` verb."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

from flows.command import Ended, run_command
from flows.errors import CommandFailed, TryAgain, worth_a_retry
from flows.machines import Machines, where
from flows.page.progress import shown_progress
from flows.pipeline import input_key, output_hashes, outputs_in_place
from flows.turns import turn
from symbio.ranks.ending import RESUME_ME

WORK = Path(".dvc/tmp/flows")
"""What commands tell and print, and the locks; below the checkout, never versioned."""

NO_MACHINES = Machines()

_RETRIES = 5
_FIRST_PAUSE_S = 5
_TRAINING = ("train", "search", "ablate")
_LEASE_S = 60
"""A training that vanished gives its place in the concurrency limit back after this time."""
_BUSY = ("Unable to acquire lock", "is busy", "failed to acquire lock")
"""What DVC prints when a person's own `dvc` is at work in the same checkout."""
_BUSY_PAUSE_S = 3.0
_SIGNALLED = 128
"""Exit code of a process that a signal killed, less the signal's number."""


def run_stage(root: Path, stage: str, machines: Machines) -> dict[str, Any]:
    """Run DVC stage `stage` ("train@nyu") of the checkout `root` as a task.

    A stage whose inputs have not changed since a flow ran it is not even asked for, as long as its
    outputs are in place.

    Returns:
        stage, outcome ("ran", "unchanged"), seconds, outputs (path -> DVC's hash).

    Raises:
        CommandFailed: after the retries that can help.
    """
    tuned = _stage.with_options(
        name=stage.split("@")[0],
        task_run_name=stage,
        refresh_cache=not outputs_in_place(root, stage),
    )
    began = time.monotonic()
    result: dict[str, Any] = tuned(str(root), stage, machines)
    if result["at"] < time.time() - (time.monotonic() - began) - 1.0:
        return {**result, "outcome": "cached", "seconds": time.monotonic() - began}
    return result


def run_verb(
    root: Path, name: str, command: Sequence[str], machines: Machines = NO_MACHINES
) -> str:
    """Run a command that is no stage as a task called `name`; returns what it printed last.

    Raises:
        CommandFailed: after the retries that can help.
    """
    tuned = _verb.with_options(name=name.split("@")[0], task_run_name=name)
    told: str = tuned(str(root), name, list(command), machines)
    return told


def _key(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Inputs of the stage, and where its result is sent; hashed, for that may hold a login."""
    key = input_key(Path(parameters["root"]), parameters["stage"])
    store = os.environ.get("MLFLOW_TRACKING_URI", "")
    return hashlib.sha256(f"{key} {store}".encode()).hexdigest()


@task(
    cache_policy=CacheKeyFnPolicy(cache_key_fn=_key),
    persist_result=True,
    result_serializer="json",
    retries=_RETRIES,
    retry_delay_seconds=exponential_backoff(_FIRST_PAUSE_S),
    retry_jitter_factor=0.2,
    retry_condition_fn=worth_a_retry,
)
def _stage(root: str, stage: str, machines: Machines) -> dict[str, Any]:
    checkout = Path(root)
    say = get_run_logger().info
    folder = checkout / WORK / stage
    lock = checkout / WORK / f"{stage}.lock"
    with turn(lock, _run_name(), say) as held, _place(stage), shown_progress(folder, stage):
        ended = _repro(checkout, stage, folder, machines, held)
    judge(ended, stage)
    return {
        "stage": stage,
        "outcome": "ran" if ended.ending else "unchanged",
        "seconds": ended.seconds,
        "outputs": output_hashes(checkout, stage),
        "at": time.time(),
    }


@task(
    retries=_RETRIES,
    retry_delay_seconds=exponential_backoff(_FIRST_PAUSE_S),
    retry_jitter_factor=0.2,
    retry_condition_fn=worth_a_retry,
)
def _verb(root: str, name: str, command: list[str], machines: Machines) -> str:
    checkout = Path(root)
    say = get_run_logger().info
    folder = checkout / WORK / name
    lock = checkout / WORK / f"{name}.lock"
    with turn(lock, _run_name(), say) as held, _place(name), shown_progress(folder, name):
        variables = _variables(folder, machines)
        ended = run_command(_submitted(command), checkout, folder, say, variables, [held])
    judge(ended, name)
    return ended.tail


def judge(ended: Ended, name: str) -> None:
    """Raise what the end of a command means; nothing where all went well."""
    if ended.code == 0:
        return
    ending = ended.ending
    if ending is None or ending["exit_code"] == 0:
        # Its verb ended well, or said nothing: what ran it did not.
        ending = {"exit_code": _code(ended), "message": ""}
    if _SIGNALLED < ending["exit_code"] <= _SIGNALLED + signal.NSIG:
        raise TryAgain(f"{name}: was killed, or its machine was; the same command continues")
    if ending["exit_code"] == RESUME_ME:
        raise TryAgain(f"{name}: {ending['message'] or 'was stopped before its end'}")
    raise CommandFailed(f"{name}: {ending['message'] or _errors(ended.tail)}")


def _code(ended: Ended) -> int:
    """Exit code of what told no ending: the stage's, which DVC only prints, else the command's."""
    told = re.search(r"failed to run: .*, exited with (-?\d+)", ended.tail)
    code = ended.code if told is None else int(told[1])
    return code if code >= 0 else _SIGNALLED - code


def _repro(root: Path, stage: str, folder: Path, machines: Machines, held: int) -> Ended:
    """`dvc repro` of one stage; waits while a person's own dvc holds a lock."""
    say = get_run_logger().info
    told = False
    while True:
        variables = _variables(folder, machines)
        ended = run_command(_command(stage), root, folder, say, variables, [held])
        busy = ended.code != 0 and any(words in ended.tail for words in _BUSY)
        if not busy or ended.ending is not None:
            return ended
        if not told:
            say(f"waiting: another DVC process is at work in {root}")
            told = True
        time.sleep(_BUSY_PAUSE_S)


def _variables(folder: Path, machines: Machines) -> dict[str, str]:
    """What the command is told of machines; a hostfile lies beside its folder."""
    return machines.environment(folder.with_name(f"{folder.name}-hosts"))


def _command(stage: str) -> list[str]:
    repro = ["dvc", "repro", "--single-item", stage]
    if where() == "slurm" and stage.startswith("train@"):
        return ["bash", "infra/slurm/submit.sh", stage]
    return repro


def _submitted(command: list[str]) -> list[str]:
    """A study trains where trainings do: on Slurm, in a job."""
    if where() == "slurm" and command[0] == "symbio" and command[1] in _TRAINING:
        return ["bash", "infra/slurm/submit.sh", *command[1:]]
    return command


def _place(name: str) -> AbstractContextManager[None]:
    """One training at a time in a pool (`infra.register` makes the limits)."""
    pool = where()
    if pool is None or name.split("@")[0] not in _TRAINING:
        return nullcontext()
    return concurrency(f"training-{pool}", occupy=1, lease_duration=_LEASE_S)


def _run_name() -> str:
    return f"{flow_run.get_flow_name()}/{flow_run.get_name()}"


def _errors(text: str) -> str:
    """DVC's own errors, or else all that was printed last."""
    errors = [line for line in text.splitlines() if line.startswith("ERROR")]
    return "; ".join(errors) or f"failed:\n{text}"
