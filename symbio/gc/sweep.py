"""The going of what nothing needs, in an order in which nothing points to what is gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from symbio.errors import SymbioError
from symbio.gc.cache import object_file
from symbio.gc.disk import remove_folder, remove_leftovers
from symbio.gc.folders import remove_workspace, remove_worktree
from symbio.gc.item import (
    KINDS,
    MODELS,
    OBJECTS,
    REPRODUCTIONS,
    RUN_CACHE,
    RUNS,
    VERSIONS,
    WORKSPACES,
    Item,
)
from symbio.gc.purge import remove_model, remove_run, remove_version
from symbio.gc.survey import Survey
from symbio.progress import track
from symbio.tracking.outage import told_as_error
from symbio.tracking.store import open_store, tracking_uri

_PARENTS = (
    "searches", "checkpoints", "checkpoints/tracking", "workspaces", "reproductions",
    "comparisons", "evaluations",
)  # fmt: skip
_Remove = Callable[[str], bool]


def sweep(root: Path, found: Survey) -> list[Item]:
    """Remove what the survey found unneeded; again after any failure it goes on.

    Args:
        root: the project's folder; nothing outside it is touched, except in the store.
        found: the verdict, not older than the locks of `symbio.gc.alone`.

    Returns:
        What is wanted since the survey, and therefore stays.

    Raises:
        SymbioError: something cannot be removed; the store refuses, or is away (exit_code 75).
    """
    for parent in _PARENTS:
        remove_leftovers(root / parent)
    stays = []
    going = [one for kind in KINDS for one in found.items if one.kind == kind and one.why is None]
    removers = _removers(root, found.cache)
    with told_as_error(f"not everything could be removed from {tracking_uri(root)}"):
        for one in track(going, "removing"):
            if not removers[one.kind](one.key):
                stays.append(one)
    return stays


def _removers(root: Path, cache: Path | None) -> dict[str, _Remove]:
    """Kind -> what removes a thing by its key, and says whether it is gone."""
    client = open_store(root)

    def folder(remove: Callable[[Path, Path], None], key: str) -> bool:
        remove(root / key, root)
        return True

    removers: dict[str, _Remove] = dict.fromkeys(KINDS, partial(folder, remove_folder))
    removers[WORKSPACES] = partial(folder, remove_workspace)
    removers[REPRODUCTIONS] = partial(folder, remove_worktree)
    removers[VERSIONS] = partial(remove_version, client)
    removers[MODELS] = partial(remove_model, client, root)
    removers[RUNS] = partial(remove_run, client, root)
    if cache is not None:
        removers[RUN_CACHE] = lambda key: _forget(cache / key, root)
        removers[OBJECTS] = lambda key: _unlink(object_file(cache, key))
    return removers


def _forget(entry: Path, root: Path) -> bool:
    """Remove an entry of the run cache, and with the last its folder: DVC fails on an empty one."""
    if entry.parent.is_dir() and set(entry.parent.iterdir()) <= {entry}:
        remove_folder(entry.parent, root)
        return True
    return _unlink(entry)


def _unlink(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SymbioError(
            f"{path}: cannot be removed ({error.strerror}); the same command goes on"
        ) from error
    return True
