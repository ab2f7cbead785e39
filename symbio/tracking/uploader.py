"""The process that carries a training run's metrics to the tracking store.

A process of its own, and not a thread of the training: it neither slows a step nor holds a lock
across a fork, it outlives a Ctrl-C that ends the training, and it sees a training that was killed
without a word, whose run would otherwise say RUNNING for ever.

    python -m symbio.tracking.uploader RUN_FOLDER PROJECT_ROOT SEND_EVERY_S GRACE_S

tags the run with the state that its ranks' heartbeats show (running, slow, hung, dead), reads the
final status from standard input, one word; the end of the input without a word, or the
death of the parent, means that the training was killed.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

from symbio.errors import SymbioError
from symbio.ranks.heartbeat import filesystem_now
from symbio.status.state import UNDER_WAY, state_of
from symbio.tracking.mirror import Mirror
from symbio.tracking.record import FAILED, FINISHED, KILLED, SYSTEM_JOURNAL
from symbio.tracking.system import SystemSampler

NOT_STORED = 3
"""Exit code: the store was still away at the end; run.json and the journals keep everything."""

_BACKOFF_LIMIT_S = 60.0
_LOOK_S = 0.25
_log = logging.getLogger(__name__)


class Parent:
    """The training's side of the pipe."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._word = b""

    def wait(self, seconds: float) -> str | None:
        """The final status as soon as it is known, else None after `seconds`."""
        until = time.monotonic() + seconds
        while True:
            if select.select([0], [], [], max(0.0, min(_LOOK_S, until - time.monotonic())))[0]:
                data = os.read(0, 64)
                self._word += data
                if self._word.endswith(b"\n") or not data:
                    word = self._word.decode("ascii", "replace").strip()
                    return word if word in (FINISHED, FAILED, KILLED) else KILLED
            if os.getppid() != self._pid:
                return KILLED
            if time.monotonic() >= until:
                return None


class RunWatch:
    """What the training whose metrics are carried is really doing."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._lived = False

    def state(self) -> str | None:
        """ "running", "slow", "hung" or "dead"; None while its ranks have not begun.

        Until then, what is there is of an earlier start.
        """
        name = self._read()
        self._lived = self._lived or name in ("running", "slow", "hung")
        return name if self._lived and name in UNDER_WAY else None

    def last_state(self) -> str:
        """As the run's status says; "dead" where the training is gone without a word."""
        name = self._read()
        return "dead" if name in UNDER_WAY else name

    def _read(self) -> str:
        try:
            return state_of(self._run, filesystem_now(self._run.parent)).name
        except SymbioError:
            return "none"


def upload(folder: Path, root: Path, parent: Parent, every: float, grace: float) -> int:
    """Mirror every `every` seconds until the parent ends, then for `grace` more if need be."""
    mirror = Mirror(folder, root)
    sampler = SystemSampler(folder / SYSTEM_JOURNAL, root)
    # Beside the folder of tracked runs: a trial's is not in the project's root.
    watch = RunWatch(folder.parents[1] / folder.name)
    pause, status, deadline = every, None, 0.0
    while True:
        sampler.sample_if_due()
        state = watch.state() if status is None else watch.last_state()
        try:
            if state is not None:
                mirror.note_state(state)
            mirror.update() if status is None else mirror.close()
            pause = every
        except Exception as error:
            # Stores fail in many types (HTTP, database driver, MLflow's own): all mean "later".
            _log.warning("the store is away, trying again: %s: %s", type(error).__name__, error)
            pause = min(2 * pause, _BACKOFF_LIMIT_S)
        else:
            if status is not None:
                return 0
        if status is None:
            status = parent.wait(pause)
            if status is not None:
                mirror.end(status)
                deadline = time.monotonic() + grace
        elif time.monotonic() > deadline:
            _log.error("the store is still away: metrics are kept in %s", folder)
            return NOT_STORED
        else:
            time.sleep(min(pause, every))


def main(arguments: list[str]) -> int:
    """Entry point of the process."""
    parent = Parent()
    # The parent is told of a stop and passes its verdict on; this process ends after it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(10)
    # An answer that takes longer is asked for again, with all that has come in since.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    folder, root, every, grace = arguments
    return upload(Path(folder), Path(root), parent, float(every), float(grace))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
