"""Whose trial it is: a worker claims the trial that it trains, and says that it is alive.

A trial that is RUNNING belongs to the worker in its claim. It is free when that worker gave it
back, when its process is seen to be gone (on the same host), or when nothing was heard of it for
`SILENCE_S` by the database's clock. A worker that was taken for lost, and is not, sees another
worker's claim and leaves its training.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from symbio.search.attributes import CLAIM, WORKER
from symbio.search.storage import BEAT_S, SILENCE_S

if TYPE_CHECKING:
    import optuna

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Claimant:
    """A worker, as the others see it."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._claim = {
            "key": uuid.uuid4().hex,
            "host": _host_id(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        }
        # The database may just have come back: let the others be heard once.
        self._deaf_until = time.monotonic() + 2 * BEAT_S

    def free(self, study: optuna.Study) -> list[int]:
        """Numbers of the trials that are under way and nobody's, ascending. Hold the turn."""
        from optuna.trial import TrialState

        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        storage: Any = study._storage
        deaf = time.monotonic() < self._deaf_until
        silent = set() if deaf else set(storage._get_stale_trial_ids(study._study_id))
        return [
            trial.number
            for trial in running
            if trial._trial_id in silent or self._may_take(trial.user_attrs.get(CLAIM))
        ]

    def _may_take(self, claim: dict[str, Any] | None) -> bool:
        # A claim of its own is left over where the database went away on hearing it.
        return claim == self._claim or _is_gone(claim)

    def claim(self, trial: optuna.Trial) -> None:
        """Take a free trial, or a new one. Hold the turn."""
        storage: Any = trial.study._storage
        storage.record_heartbeat(trial._trial_id)
        trial.set_user_attr(WORKER, self.name)
        trial.set_user_attr(CLAIM, self._claim)

    def owns(self, trial: optuna.Trial) -> bool:
        """Whether the trial is still this worker's."""
        attributes = trial.study._storage.get_trial_user_attrs(trial._trial_id)
        return bool(attributes.get(CLAIM) == self._claim)

    def lost_the_database(self) -> None:
        """Take note that the others' silence says nothing until they can be heard again."""
        self._deaf_until = time.monotonic() + SILENCE_S


class Beat:
    """Says in the background that a trial is being trained."""

    def __init__(self, claimant: Claimant, trial: optuna.Trial) -> None:
        self._claimant, self._trial = claimant, trial
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.taken_away = False
        """Whether another worker has the trial now."""

    def _run(self) -> None:
        storage: Any = self._trial.study._storage
        while not self._over.wait(BEAT_S):
            # A database that is away is the trial's own calls' to tell.
            with contextlib.suppress(Exception):
                if not self._claimant.owns(self._trial):
                    self.taken_away = True
                    return
                storage.record_heartbeat(self._trial._trial_id)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(timeout=BEAT_S)


def give_back(trial: optuna.Trial) -> None:
    """Leave a trial that is not over to whoever comes next."""
    trial.set_user_attr(CLAIM, None)


def _is_gone(claim: dict[str, Any] | None) -> bool:
    """Whether the claim is nobody's, or that of a process that is not there any more."""
    if claim is None:
        return True
    if claim["host"] != _host_id():
        return False  # of another host: silence tells
    try:
        return bool(psutil.Process(claim["pid"]).create_time() != claim["started"])
    except psutil.NoSuchProcess:
        return True


def _host_id() -> str:
    """Tells apart hosts, containers with process numbers of their own, and a host's starts."""
    with contextlib.suppress(OSError):
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()
