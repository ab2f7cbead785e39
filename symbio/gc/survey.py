"""Everything that `symbio gc` looks at, with the reason why it stays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.gc.cache import Cache, cache_items, read_cache
from symbio.gc.checkouts import Checkout, Told, committed, hashes_in, written
from symbio.gc.folders import RunKeys, of_versions, studies, trainings, workspaces
from symbio.gc.item import RUNS, VERSIONS, Item, Marks
from symbio.gc.judge import judge
from symbio.gc.named import doubt_of, wanted_by
from symbio.gc.store import database_of, holdings
from symbio.tracking.outage import told_as_error, without_secrets
from symbio.tracking.store import open_store, tracking_uri


@dataclass(frozen=True, slots=True)
class Survey:
    """The verdict on everything."""

    items: list[Item]
    notes: list[str]
    """What the user should know besides."""
    doubts: list[str]
    """Why nothing may go before somebody has looked."""
    cache: Path | None
    """DVC's cache; None: it is not looked at."""


def survey(root: Path, checkouts: list[Checkout], now: float) -> Survey:
    """Judge everything; nothing is changed.

    Args:
        root: the project's folder.
        checkouts: it and its worktrees.
        now: seconds since 1970.

    Raises:
        SymbioError: git fails, or the cache is broken; the store refuses, or is away (exit_code
            75): what is needed cannot be known then.
    """
    notes: list[str] = []
    doubts: list[str] = []
    items = list(workspaces(root, now))
    going = {(root / one.key).resolve() for one in items if one.why is None}
    checkouts = [one for one in checkouts if one.folder.resolve() not in going]
    trees = _trees(checkouts, notes)
    branches = list(committed(root, checkouts))
    wanted = wanted_by(root, trees, branches)
    data, keys = Marks(), RunKeys(set(), set())
    with told_as_error(f"what is needed cannot be had from {tracking_uri(root)}"):
        if database_of(open_store(root)) is None:
            notes.append(_of_server(root))
        for held in holdings(root, now):
            judged = judge(root, held, wanted, now)
            items += judged.items
            notes += judged.notes
            keys.stay.update(judged.keys)
            keys.known.update(held.keys)
            data.mark(judged.data.reasons, "a version or run that stays was made of it")
            doubt = doubt_of(held, trees[checkouts[0].folder])
            doubts += [] if doubt is None else [doubt]
    items += studies(root, keys, now)
    items += trainings(root, keys, now)
    versions, runs = ({i.key for i in items if i.kind == k and i.why} for k in (VERSIONS, RUNS))
    results = list(of_versions(root, versions, runs, now))
    gone = [(root / one.key).resolve() for one in results if one.why is None]
    for tree, files in trees.items():
        if not any(tree.resolve().is_relative_to(one) for one in gone):
            data.mark(_hashes(files), "a checkout names it")
    data.mark(_hashes(branches), "a branch, a tag or a worktree's commit names it")
    cache = _cache(root, notes)
    if cache is not None:
        items += cache_items(cache, data, now)
    return Survey([*items, *results], notes, doubts, None if cache is None else cache.folder)


def _trees(checkouts: list[Checkout], notes: list[str]) -> dict[Path, list[Told]]:
    """What the checkouts that stay name, as their files are now."""
    found = {}
    for one in checkouts:
        if one.folder.is_dir():
            found[one.folder] = list(written(one.folder))
        else:
            notes.append(
                f"{one.folder}: a worktree that is not there now; of it only what its commit names "
                "stays (`git worktree prune` forgets it)"
            )
    return found


def _hashes(files: list[Told]) -> set[str]:
    return {one for told in files for one in hashes_in(told.text)}


def _cache(root: Path, notes: list[str]) -> Cache | None:
    try:
        return read_cache(root)
    except SymbioError as error:
        notes.append(str(error))
        return None


def _of_server(root: Path) -> str:
    return (
        f"{without_secrets(tracking_uri(root))} is a server, which others may share: what only "
        "their checkouts need goes too, unless its run has the tag symbio.keep; what is deleted "
        "there stays in its trash until `mlflow gc` is run beside its database"
    )
