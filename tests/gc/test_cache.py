"""DVC's cache: what any branch, tag, stash or worktree names stays, with all that is in it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
import yaml

from symbio.errors import SymbioError
from symbio.gc.run import run
from tests.gc.held import (
    commit,
    git,
    later,
    lock_of,
    objects_in,
    put_folder,
    put_object,
    swept,
)


def _write_lock(root: Path, *names: str) -> None:
    outputs = {f"data/{number}": name for number, name in enumerate(names)}
    (root / "dvc.lock").write_text(lock_of(outputs))


def test_refs_worktrees_stashes_and_files_not_committed_keep_their_data(
    project: Path, tmp_path: Path
) -> None:
    kept = []

    def put(what: str) -> str:
        name = put_folder(project, {"a": f"a of {what}".encode(), "b": b"the same everywhere"})
        kept.append(name)
        return name

    _write_lock(project, put("main"))
    commit(project, "main")
    for what in ("branch", "tag", "remote", "detached"):
        git(project, "switch", "-q", "--detach", "main")
        _write_lock(project, put(what))
        made = commit(project, what)
        if what == "branch":
            git(project, "branch", "branch", made)
        elif what == "tag":
            git(project, "tag", "-a", "v1", "-m", "annotated", made)
        elif what == "remote":
            git(project, "update-ref", "refs/remotes/origin/other", made)
        else:
            git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "elsewhere"), made)
    _write_lock(tmp_path / "elsewhere", put("worktree, not committed"))
    git(project, "switch", "-q", "main")
    for what in ("older stash", "stash"):
        _write_lock(project, put(what))
        git(project, "stash", "push", "-q")
    _write_lock(project, put("not committed"))
    (project / "raw").mkdir()
    (project / "raw" / "nyu.dvc").write_text(yaml.safe_dump({"outs": [{"md5": put("raw")}]}))
    wanted = objects_in(project)
    lost = put_folder(project, {"a": b"a of nothing", "b": b"the same everywhere"})
    assert len(objects_in(project) - wanted) == 2

    gone = swept(project)["DVC objects"]

    assert objects_in(project) == wanted
    # The list of files goes before the files.
    assert gone[0] == lost
    assert len(gone) == 2


@pytest.mark.parametrize("seed", range(3))
def test_what_goes_is_what_cannot_be_reached_and_the_run_cache_points_to_nothing_gone(
    project: Path, seed: int
) -> None:
    draw = random.Random(seed)
    contents = [f"file {number}".encode() for number in range(20)]
    folders = {}
    for number in range(8):
        chosen = draw.sample(range(20), 4)
        files = {f"{one}": contents[one] for one in chosen}
        folders[put_folder(project, {"own": f"{number}".encode(), **files})] = files
    named = draw.sample(sorted(folders), 3)
    _write_lock(project, *named)
    runs = project / ".dvc" / "cache" / "runs"
    for number, name in enumerate(folders):
        path = runs / f"{number:02d}" / f"{number:064d}" / f"{number:064d}"
        path.parent.mkdir(parents=True)
        outs = [{"path": f"data/{number}", "hash": "md5", "md5": name}]
        path.write_text(yaml.safe_dump({"cmd": "x", "outs": outs}, sort_keys=False))
    reachable = set(named)
    for name in named:
        listed = project / ".dvc/cache/files/md5" / name[:2] / name[2:]
        reachable |= {one["md5"] for one in json.loads(listed.read_text())}

    swept(project)

    assert objects_in(project) == reachable
    left = [yaml.safe_load(path.read_text()) for path in runs.glob("*/*/*")]
    assert {one["outs"][0]["md5"] for one in left} == set(named)


def test_a_list_of_files_that_cannot_be_read_stops_everything(project: Path) -> None:
    name = put_object(project, b"[{", ".dir")
    other = put_object(project, b"other")
    _write_lock(project, name)
    with pytest.raises(SymbioError, match=rf"{name[2:]}: the list of a folder .* not readable"):
        run(project, sweep=True, now=later())
    assert objects_in(project) == {name, other}


def test_half_of_a_merge_hides_no_hash(project: Path) -> None:
    mine, theirs = put_object(project, b"mine"), put_object(project, b"theirs")
    put_object(project, b"nobody's")
    text = f"<<<<<<< HEAD\n  md5: {mine}\n=======\n  md5: {theirs}\n>>>>>>> branch\n"
    (project / "dvc.lock").write_text(text)
    swept(project)
    assert objects_in(project) == {mine, theirs}


def test_a_cache_that_others_may_share_is_left_alone(project: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (project / ".dvc" / "cache").rename(shared)
    (project / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {shared}\n")
    (shared / "files" / "md5" / "ab").mkdir(parents=True)
    (shared / "files" / "md5" / "ab" / ("c" * 30)).write_text("theirs")
    told = run(project, sweep=True, now=later())
    assert "DVC objects" not in told["kinds"]
    assert "lies outside this project" in told["notes"][0]
    assert (shared / "files" / "md5" / "ab" / ("c" * 30)).is_file()


def test_links_and_strange_files_in_the_cache_are_left_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    folder = project / ".dvc" / "cache" / "files" / "md5" / "ab"
    folder.mkdir(parents=True)
    os.symlink(tmp_path / "precious", folder / ("d" * 30))
    (folder / "notes.txt").write_text("a person's")
    assert swept(project) == {}
    assert (folder / ("d" * 30)).is_symlink()
    assert (folder / "notes.txt").is_file()
