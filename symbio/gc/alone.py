"""Nobody changes what is judged: one sweep at a time, and DVC stands still while it lasts."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from symbio.errors import SymbioError
from symbio.params import dataset_names
from symbio.ranks.ending import RESUME_ME
from symbio.tracking.models import registering
from symbio.tracking.store import FOLDER, experiment_name

_LOCK = ".gc.lock"
_LATER = "run `symbio gc --sweep` again when it has ended"


@contextlib.contextmanager
def alone(root: Path, checkouts: Iterable[Path]) -> Iterator[None]:
    """Inside the block nobody sweeps, registers or promotes here, and DVC refuses to work.

    Args:
        root: the project's folder.
        checkouts: folders with a working tree; each has DVC's locks of its own.

    Raises:
        SymbioError: another sweep, or DVC, is at work (exit_code 75).
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_only_sweep(root / FOLDER / _LOCK))
        for checkout in checkouts:
            if (checkout / ".dvc").is_dir():
                stack.enter_context(_dvc_stands_still(checkout))
        for dataset in dataset_names(root):
            stack.enter_context(registering(root, experiment_name(dataset)))
        yield


def dvc_at_work(checkout: Path) -> str | None:
    """The DVC command that is running a stage in a checkout; None: none is.

    DVC gives its lock away while a stage's command runs, and notes in `rwlock` what it reads and
    writes. As DVC does, entries of processes that are gone are passed over.
    """
    try:
        told = json.loads((checkout / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return "a DVC command that is writing its locks"
    readers = [one for many in told.get("read", {}).values() for one in many]
    for one in (*readers, *told.get("write", {}).values()):
        if psutil.pid_exists(int(one["pid"])):
            return f"`{one['cmd']}` (process {one['pid']})"
    return None


@contextlib.contextmanager
def _only_sweep(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SymbioError(f"{path}: another `symbio gc` is at work", RESUME_ME) from error
        yield


@contextlib.contextmanager
def _dvc_stands_still(checkout: Path) -> Iterator[None]:
    from dvc.config import Config
    from dvc.lock import LockError, make_lock

    folder = checkout / ".dvc" / "tmp"
    folder.mkdir(exist_ok=True)
    config = Config(str(checkout / ".dvc"))
    linked = bool(config["core"].get("hardlink_lock", False))
    lock = make_lock(str(folder / "lock"), tmp_dir=str(folder), hardlink_lock=linked)
    try:
        lock.lock()
    except LockError as error:
        raise SymbioError(f"{checkout}: a DVC command is at work there; {_LATER}", RESUME_ME) from (
            error
        )
    try:
        command = dvc_at_work(checkout)
        if command is not None:
            raise SymbioError(f"{checkout}: {command} is at work there; {_LATER}", RESUME_ME)
        yield
    finally:
        lock.unlock()
