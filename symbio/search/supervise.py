"""The workers of this host: started, told to stop, and replaced where one is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import FAILED, MISTAKE, RESUME_ME
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.place import LAUNCHER_VARIABLE
from symbio.ranks.settings import (
    HOSTFILE_VARIABLE,
    RANK_MEMORY_VARIABLE,
    RANKS_VARIABLE,
    Settings,
    num_cpus,
    num_gpus,
)
from symbio.search.plan import Plan
from symbio.search.trial import study_folder
from symbio.search.worker import arguments_of
from symbio.tell import TELL_VARIABLE

MODULE = "symbio.search.worker"
LOGS = "workers"
"""Folder of the study with what each worker says."""

_POLL_S = 0.2
_REFRESH_S = 2.0
_MOST_REPLACED = 3


def supervise(
    plan: Plan,
    root: Path,
    settings: Settings,
    count: int,
    asked: Sequence[int],
    refresh: Callable[[], None],
) -> bool:
    """Have `count` workers of this host work on a study until it is complete.

    Args:
        plan: the study, which is open.
        root: the project's folder.
        settings: on which ranks and hosts each trial trains.
        count: of workers.
        asked: signals as they come: the first one stops the workers, a second one kills them.
        refresh: called every few seconds.

    Returns:
        Whether the study is complete.

    Raises:
        SymbioError: workers ended by mistake (2), or too many were lost (75).
    """
    workers = [_Worker(plan, root, settings, index, count) for index in range(count)]
    replaced, heeded, refreshed = 0, 0, time.monotonic()
    try:
        while any(worker.running for worker in workers):
            time.sleep(_POLL_S)
            if len(asked) > heeded:
                heeded = len(asked)
                _heed(workers, heeded)
            for worker in workers:
                lost = worker.code is not None and worker.code not in (0, MISTAKE, RESUME_ME)
                if lost and not asked and replaced < _MOST_REPLACED:
                    replaced += 1
                    say(f"{worker.name} was lost (code {worker.code}); another one goes on")
                    worker.start()
            if time.monotonic() - refreshed > _REFRESH_S:
                refreshed = time.monotonic()
                refresh()
    finally:
        for worker in workers:
            worker.kill()
    codes = [worker.code for worker in workers]
    if MISTAKE in codes or FAILED in codes:
        worst = workers[codes.index(MISTAKE if MISTAKE in codes else FAILED)]
        raise SymbioError(f"{worst.name}: {worst.last_words()}", worst.code or FAILED)
    return 0 in codes


def _heed(workers: Sequence[_Worker], times: int) -> None:
    """Act on a request to stop, the first or a later one."""
    if times == 1:
        say("stopping: trials write a checkpoint, and the same command goes on (again: kill them)")
    for worker in workers:
        worker.stop() if times == 1 else worker.kill()


class _Worker:
    """A worker process; what it says goes to a file, or to the user where it is the only one."""

    def __init__(self, plan: Plan, root: Path, settings: Settings, index: int, count: int) -> None:
        self.name = f"worker {index}"
        self._log = study_folder(root, plan) / LOGS / f"{os.uname().nodename}-{index}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._command = [sys.executable, "-m", MODULE, *arguments_of(plan, root)]
        self._environment = {
            **os.environ,
            PARAMS_VARIABLE: plan.params.model_dump_json(exclude_unset=True),
            LAUNCHER_VARIABLE: str(os.getpid()),
            **_machine(settings, index, count),
        }
        self._environment.pop(TELL_VARIABLE, None)
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A terminal's Ctrl-C is the supervisor's to pass on.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        if self.running:
            self._process.terminate()

    def kill(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """The last line that it said."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else f"ended with code {self.code} ({self._log})"


def _machine(settings: Settings, index: int, count: int) -> dict[str, str]:
    """The share of this machine that one of `count` workers gets: variables of its environment."""
    share = {RANKS_VARIABLE: str(settings.ranks)}
    if settings.rank_memory is not None:
        share[RANK_MEMORY_VARIABLE] = str(settings.rank_memory)
    if settings.hostfile is not None:
        return {**share, HOSTFILE_VARIABLE: str(settings.hostfile)}
    if num_gpus() == 0:
        threads = max(1, num_cpus() // (settings.ranks * count))
        return {**share, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(n) for n in range(num_gpus())] if visible is None else visible.split(",")
    mine = gpus[index * settings.ranks : (index + 1) * settings.ranks]
    if len(mine) < settings.ranks:
        raise SymbioError(
            f"--workers {count} with {settings.ranks} ranks each need {count * settings.ranks} "
            f"GPUs, and {len(gpus)} are visible; take fewer of either"
        )
    return {**share, "CUDA_VISIBLE_DEVICES": ",".join(mine)}
