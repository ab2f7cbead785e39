"""The code of a version: a worktree of its commit, with its changes, params and dvc.lock."""

from __future__ import annotations

from pathlib import Path

import yaml

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.lineage.recorded import Recorded
from symbio.params import load_params
from symbio.worktree import add_worktree, apply_diff, git, share_cache, write_params


def make_checkout(root: Path, folder: Path, record: Recorded) -> None:
    """Make `folder`, which is replaced, the checkout that the version was trained in.

    Args:
        root: the project's folder, a git checkout.
        folder: where it goes.
        record: of the version.

    Raises:
        SymbioError: the commit or its uncommitted changes are not to be had, or do not apply.
    """
    add_worktree(root, folder, _commit(root, record))
    if record.diff is not None:
        try:
            apply_diff(folder, record.diff)
        except SymbioError as error:
            raise SymbioError(
                f"{record.version.uri}: its uncommitted changes cannot be applied to commit "
                f"{record.commit}: {error}"
            ) from error
    if not _has_params(folder / "params.yaml", record):
        write_params(folder / "params.yaml", record.params)
    lock = folder / "dvc.lock"
    if record.dvc_lock:
        with whole_file(lock) as aside:
            aside.write_text(yaml.safe_dump(record.dvc_lock, sort_keys=False), encoding="utf-8")
    else:
        lock.unlink(missing_ok=True)
    share_cache(root, folder)


def _has_params(path: Path, record: Recorded) -> bool:
    """Whether a params file, as this symbio reads it, says what was recorded."""
    try:
        return load_params(path).model_dump(mode="json") == record.params
    except SymbioError:
        return False


def _commit(root: Path, record: Recorded) -> str:
    """The commit, if it is here and enough to have the code."""
    uri, told = record.version.uri, record.lineage["git"]
    if record.commit is None:
        raise SymbioError(f"{uri}: was trained outside git: there is no commit to check out")
    if told["diff_truncated"] or (told["dirty"] and record.diff is None):
        raise SymbioError(
            f"{uri}: was trained with uncommitted changes that were not kept whole (too large); "
            "its code cannot be had"
        )
    try:
        git(root, "cat-file", "-e", f"{record.commit}^{{commit}}")
    except SymbioError as error:
        origin = told.get("remote") or "the repository that it was trained from"
        raise SymbioError(
            f"{root}: has no commit {record.commit}, which {uri} was trained from; "
            f"`git fetch` it from {origin}"
        ) from error
    return record.commit
