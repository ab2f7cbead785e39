"""What git knows: the checkouts of the project, and the files of all its branches.

DVC's outputs are named in dvc.lock and in *.dvc, the pipeline's registered version in
registry/{dataset}.json. Read are those of every ref (branches, tags, remote branches, stashes,
DVC's experiments), of every worktree's commit, and of the folders themselves, committed or not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from symbio.errors import SymbioError
from symbio.worktree import git

HASH = re.compile(r"\b[0-9a-f]{32}\b(?:\.dir\b)?")
"""A hash as DVC writes it."""

_OURS = ("workspaces", "reproductions", "searches", "checkpoints", "mlruns")
"""Folders of the project that hold checkouts of their own, or nothing of DVC's."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with a working tree."""

    folder: Path
    commit: str | None
    """Checked out; None before the first."""


@dataclass(frozen=True, slots=True)
class Told:
    """A file that names what is needed."""

    path: PurePosixPath
    """In its checkout."""
    text: str


def checkouts_of(root: Path) -> list[Checkout]:
    """The project's folder first, then its worktrees, wherever they are and also if gone.

    Raises:
        SymbioError: git fails, or `root` is itself a worktree of another folder.
    """
    if not _is_git(root):
        return [Checkout(root.resolve(), None)]
    own, common = (
        (root / git(root, "rev-parse", one).strip()).resolve()
        for one in ("--git-dir", "--git-common-dir")
    )
    if own != common:
        raise SymbioError(
            f"{root.resolve()}: is a worktree of {common.parent}, with which it shares data and "
            "runs; run `symbio gc` there"
        )
    found = []
    for block in git(root, "worktree", "list", "--porcelain", "-z").split("\0\0"):
        lines = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
        if "worktree" in lines and "bare" not in lines:
            head = lines.get("HEAD", "").strip("0") and lines["HEAD"]
            found.append(Checkout(Path(lines["worktree"]), head or None))
    return found


def committed(root: Path, checkouts: Sequence[Checkout]) -> Iterator[Told]:
    """The naming files of every ref and of every worktree's commit, each content once.

    Raises:
        SymbioError: git fails.
    """
    if not _is_git(root):
        return
    heads = [one.commit for one in checkouts if one.commit is not None]
    commits = git(root, "rev-list", "--no-walk", "--all", *heads).split()
    if git(root, "for-each-ref", "refs/stash").strip():
        commits += git(root, "log", "-g", "--format=%H", "refs/stash").split()
    seen: set[str] = set()
    for commit in dict.fromkeys(commits):
        for entry in git(root, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
            what, _, path = entry.partition("\t")
            if path and _names_something(PurePosixPath(path)):
                blob = what.split()[2]
                if blob not in seen:
                    seen.add(blob)
                    yield Told(PurePosixPath(path), git(root, "cat-file", "blob", blob))


def written(folder: Path) -> Iterator[Told]:
    """The naming files that lie in a checkout now."""
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not (Path(place) == folder and name in _OURS)
        ]
        for name in files:
            path = PurePosixPath(Path(place, name).relative_to(folder).as_posix())
            if _names_something(path):
                yield Told(path, Path(place, name).read_text("utf-8", errors="replace"))


def hashes_in(text: str) -> set[str]:
    """Hashes that a text names; by their form, so that no conflict or garbled line hides one."""
    return set(HASH.findall(text))


def _names_something(path: PurePosixPath) -> bool:
    return (
        path.name == "dvc.lock"
        or path.suffix == ".dvc"
        or (path.parent.name == "registry" and path.suffix == ".json")
    )


def _is_git(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))
