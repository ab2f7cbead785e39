"""The verb `gc`: tells what nothing needs, and with `--sweep` removes it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.gc.alone import alone, dvc_at_work
from symbio.gc.checkouts import Checkout, checkouts_of
from symbio.gc.item import Item
from symbio.gc.survey import Survey, survey
from symbio.gc.sweep import sweep as remove
from symbio.gc.told import as_dict, names, reasons, table
from symbio.progress import say
from symbio.ranks.heartbeat import filesystem_now


def run(root: Path = Path("."), sweep: bool = False, now: float | None = None) -> dict[str, Any]:
    """Tell what stays, why, and what goes; nothing goes without `sweep`.

    Needed are the versions that an alias means (and those of its other seeds), that were champion,
    or that a checkout or branch names in registry/; the runs, studies and data that they are made
    of; what dvc.lock and *.dvc of any ref or worktree name; the newest training of each data set;
    what is under way; runs with the tag `symbio.keep`; and whatever changed within the last hour.

    Args:
        root: the project's folder.
        sweep: remove the rest.
        now: seconds since 1970; None: by the clock of the project's filesystem.

    Returns:
        swept, kinds (kind -> stay, go, stay_bytes, go_bytes), notes, doubts.

    Raises:
        SymbioError: `root` is a worktree of another folder, or what is needed cannot be known; with
            `sweep` also: this may not be the store that the project registered in; another sweep or
            DVC is at work, or the store is away (exit_code 75).
    """
    root = root.resolve()
    now = filesystem_now(root) if now is None else now
    checkouts = checkouts_of(root)
    folders = [one.folder for one in checkouts if one.folder.is_dir()]
    with alone(root, folders) if sweep else contextlib.nullcontext():
        found = survey(root, checkouts, now)
        _tell(found, sweep)
        if sweep and found.doubts:
            raise SymbioError(f"nothing was removed: {'; '.join(found.doubts)}")
        stays = remove(root, found) if sweep else []
    if sweep:
        _tell_swept(found, stays)
    else:
        _tell_dry(checkouts, found)
    return {
        "swept": sweep,
        "kinds": as_dict(found.items),
        "notes": found.notes,
        "doubts": found.doubts,
    }


def _tell(found: Survey, sweep: bool) -> None:
    lines = table(found.items)
    for title, more in (
        ("Goes:" if sweep else "Would go:", names(found.items)),
        ("Stays:", reasons(found.items)),
        ("Note:", [f"  {note}" for note in found.notes]),
    ):
        if more:
            lines += ["", title, *more]
    sys.stdout.write("\n".join(lines) + "\n")


def _tell_dry(checkouts: list[Checkout], found: Survey) -> None:
    for doubt in found.doubts:
        say(f"`--sweep` would refuse: {doubt}")
    for one in checkouts:
        command = dvc_at_work(one.folder)
        if command is not None:
            say(f"`--sweep` would refuse: {one.folder}: {command} is at work there")
    say("nothing was removed; `symbio gc --sweep` removes what would go")


def _tell_swept(found: Survey, stays: list[Item]) -> None:
    for one in stays:
        say(f"{one.name}: is wanted by now, and stays")
    say(f"{sum(one.why is None for one in found.items) - len(stays)} things removed")
