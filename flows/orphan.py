"""A flow run ends when the worker that started it is gone.

A worker that is killed (-9) leaves its flow run behind: it would go on unsupervised, deaf to
cancellation, beside the run that somebody starts in its place.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_LOOK_S = 1.0


def end_with_the_worker() -> None:
    """Watch the parent from a thread; when it is gone, end this process as SIGTERM does.

    Prefect then marks the run as crashed, and the commands that it runs write their checkpoints.
    Call it only in a flow run that a worker has started.
    """
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="worker-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
