"""One decision about a model at a time, on however many hosts.

MLflow moves an alias without asking where it was, and has no locks; a tag of the registered model
serves as one. Whoever decides puts a tag of its own there and reads all of them after that. Of two
that come at once, at least the one that wrote last sees the other's, for the store has one order of
writes; the one that sees another's tag takes its own back, waits a random while and tries again. So
never two go on.

What cannot be excluded: somebody who moves the alias by hand in the meantime (it is read again
right before and after it is moved, see `run`), and a host that stood still for longer than
`_STALE_S` in the middle of a decision, when another one took it for dead.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME
from symbio.tracking.models import drop_model_tag, model_tags, tag_model

TURN_TAG = "symbio.promoting."
"""Of the registered model, with a random end: who decides about it, since when (seconds, UTC)."""

_STALE_S = 300.0
_PATIENCE_S = 60.0
_PAUSE_S = (0.1, 1.0)


@contextlib.contextmanager
def turn(root: Path, name: str) -> Iterator[None]:
    """Hold the turn to decide about the registered model `name`, which exists.

    Raises:
        SymbioError: others had it for a minute (exit_code 75).
    """
    mine = TURN_TAG + uuid.uuid4().hex
    _take(root, name, mine)
    try:
        yield
    finally:
        drop_model_tag(root, name, mine)


def _take(root: Path, name: str, mine: str) -> None:
    patience = time.monotonic() + _PATIENCE_S
    told = False
    while True:
        tag_model(root, name, mine, f"{socket.gethostname()} {os.getpid()} {time.time():.0f}")
        others = _others(root, name, mine)
        if not others:
            return
        drop_model_tag(root, name, mine)
        if time.monotonic() > patience:
            raise SymbioError(
                f"{name}: another promotion is at work since a minute ({others[0]}); the same "
                "command goes on when it is done",
                exit_code=RESUME_ME,
            )
        if not told:
            say(f"{name}: waiting for another promotion ({others[0]})")
            told = True
        time.sleep(random.uniform(*_PAUSE_S))


def _others(root: Path, name: str, mine: str) -> list[str]:
    """Who else has a tag, in words; those of the dead are removed."""
    living = []
    for key, value in sorted(model_tags(root, name).items()):
        if not key.startswith(TURN_TAG) or key == mine:
            continue
        host, pid, since = value.split()
        if _is_dead(host, int(pid), float(since)):
            drop_model_tag(root, name, key)
        else:
            living.append(f"process {pid} on {host}")
    return living


def _is_dead(host: str, pid: int, since: float) -> bool:
    if time.time() - since > _STALE_S:
        return True
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
