"""Another checkout of this project: a git worktree that shares the project's DVC cache."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.reach.remote import ENV_REMOTE, find_remote


def git(folder: Path, *arguments: str, given: str | None = None) -> str:
    """Run git in `folder`; what it printed.

    Args:
        folder: of a checkout.
        arguments: of git.
        given: its standard input.

    Raises:
        SymbioError: it failed; names the command and what git said.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        input=None if given is None else given.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip()
        verb = next(one for one in arguments if not one.startswith("-") and "=" not in one)
        raise SymbioError(f"{folder}: `git {verb}` failed ({told})")
    return done.stdout.decode("utf-8", "surrogateescape")


def add_worktree(root: Path, folder: Path, commit: str) -> None:
    """Make `folder`, which is replaced, a worktree of `root` with this commit checked out.

    Raises:
        SymbioError: `root` is no git checkout, or has no such commit.
    """
    shutil.rmtree(folder, ignore_errors=True)
    git(root, "worktree", "prune")
    # A hook of the project's own (DVC's, for instance) would change what is checked out.
    without_hooks = ("-c", "core.hooksPath=/dev/null")
    place = str(folder.resolve())
    git(root, *without_hooks, "worktree", "add", "--detach", "--force", place, commit)


def apply_diff(folder: Path, diff: str) -> None:
    """Apply what `git diff` printed to the checkout `folder`.

    Raises:
        SymbioError: it does not apply, or names a file outside the checkout.
    """
    if not diff.strip():
        return
    for path in _paths(git(folder, "apply", "--numstat", "-z", "-", given=diff)):
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts or ".git" in parts:
            raise SymbioError(f"the uncommitted changes name {path!r}, outside the checkout")
    git(folder, "apply", "--whitespace=nowarn", "-", given=diff)


def share_cache(root: Path, folder: Path) -> None:
    """Let DVC in the worktree `folder` use the cache and the remote of `root`.

    They stand in the worktree's own config.local, which git does not see.
    """
    from configobj import ConfigObj

    own = root / ".dvc" / "config.local"
    config = ConfigObj(str(own) if own.is_file() else None, interpolation=False)
    config.filename = str(folder / ".dvc" / "config.local")
    links = {"dir": str(cache_of(root)), "type": "reflink,hardlink,copy"}
    config["cache"] = {**config.get("cache", {}), **links}
    remote = find_remote(root)
    if remote is not None and remote.name != ENV_REMOTE:
        # What is relative there is so to the project, not to the worktree.
        name = f'remote "{remote.name}"'
        config[name] = {**config.get(name, {}), "url": remote.url}
        config["core"] = {**config.get("core", {}), "remote": remote.name}
    config.write()


def cache_of(root: Path) -> Path:
    """Folder of the project's DVC cache.

    Raises:
        SymbioError: DVC's configuration is not readable.
    """
    from dvc.config import Config, ConfigError

    usual = (root / ".dvc" / "cache").resolve()
    try:
        told = Config(str((root / ".dvc").resolve()))["cache"].get("dir")
    except ConfigError as error:
        raise SymbioError(f"{root / '.dvc' / 'config'}: {error}") from error
    return usual if told is None else Path(root / ".dvc" / told).resolve()


def write_params(path: Path, values: Mapping[str, Any]) -> None:
    """Write a params file, whole; sections and keys in the order of `values`."""
    with whole_file(path) as aside:
        aside.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")


def _paths(numstat: str) -> list[str]:
    """Paths that `git apply --numstat -z` names; of a renamed file, the old and the new one."""
    paths: list[str] = []
    fields = iter(numstat.split("\0"))
    for field in fields:
        path = field.split("\t")[-1]
        # A rename has an empty path, and then its two names.
        paths += [path] if path else ([next(fields, ""), next(fields, "")] if field else [])
    return [path for path in paths if path]
