"""Folders of results: those in use, unsent or of what stays are left; links are never followed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from symbio.errors import SymbioError
from symbio.files import write_json
from symbio.gc.disk import remove_folder, weight_of
from symbio.gc.run import run
from symbio.ranks.heartbeat import Heartbeat, filesystem_now, ranks_folder, write_heartbeat
from symbio.search.attributes import CLAIM
from symbio.search.storage import open_storage
from symbio.tracking import record_run
from symbio.tracking.record import FINISHED, RunRecord
from symbio.tracking.store import locked
from symbio.train.records.status import write_status
from tests.gc.held import (
    NAME,
    git,
    later,
    lock_of,
    objects_in,
    put_object,
    put_run,
    put_version,
    runs_in,
    swept,
)

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")


def _workspace(root: Path, name: str) -> Path:
    folder = root / "workspaces" / name
    git(root, "worktree", "add", "-q", "--detach", str(folder))
    (folder / "params.yaml").write_text("seed: 1\n")
    return folder


def _put_record(folder: Path, name: str, stored: bool = True) -> RunRecord:
    """The folder of a run that is over."""
    record_run(folder, folder, experiment=NAME, name=name, status=FINISHED)
    record = replace(RunRecord(NAME, name, f"key of {name}").ended(FINISHED), stored=stored)
    record.write(folder)
    return record


def test_workspaces_go_with_their_data_unless_somebody_needs_them(project: Path) -> None:
    _workspace(project, "idle")
    for name in ("idle", "locked", "flow", "unsent", "training"):
        folder = project / "workspaces" / name
        if name != "idle":
            _workspace(project, name)
        (folder / "dvc.lock").write_text(lock_of({"data/x": put_object(project, name.encode())}))
    git(project, "worktree", "lock", str(project / "workspaces" / "locked"))
    _put_record(project / "workspaces/unsent/checkpoints/tracking/nyu", "unsent", stored=False)
    _beat(project / "workspaces" / "training" / "checkpoints" / "nyu")
    assert len(objects_in(project)) == 5
    with locked(project / "workspaces" / "flow" / ".dvc/tmp/flows/train@nyu.lock"):
        assert swept(project)["workspaces"] == ["workspaces/idle"]
    left = {path.name for path in (project / "workspaces").iterdir() if path.name[0] != "."}
    assert left == {"locked", "flow", "unsent", "training"}
    # What only it named went in the same sweep; git no longer lists it.
    assert len(objects_in(project)) == 4
    assert "idle" not in git(project, "worktree", "list")
    assert swept(project)["workspaces"] == ["workspaces/flow"]


def _beat(training: Path) -> None:
    """Let a training look alive: this process is its rank, and beats now."""
    training.mkdir(parents=True)
    write_status(training, state="running", step=3, steps=100)
    now = filesystem_now(training)
    beat = Heartbeat(
        rank=0, world=1, host="elsewhere", pid=os.getpid(), step=3, phase="forward",
        since_progress_s=0.1, in_step_s=0.1, step_s=0.2, limit_s=300.0, started=now, time=now,
    )  # fmt: skip
    write_heartbeat(ranks_folder(training), beat)


def test_studies_stay_that_run_are_unsent_unknown_or_have_a_run_that_stays(project: Path) -> None:
    searches = project / "searches"
    for name in ("done", "running", "unsent", "elsewhere", "kept"):
        _put_record(searches / name / "tracking", name, stored=name != "unsent")
        if name != "elsewhere":
            tags = {"symbio.keep": "true"} if name == "kept" else {}
            put_run(project, f"trial of {name}", tags, parent=put_run(project, name))
    study = optuna.create_study(study_name="running", storage=open_storage(searches / "running"))
    study.ask().set_user_attr(CLAIM, {"key": "k", "host": "h", "pid": 1, "started": 0.0})
    known = {"dataset": "nyu", "metric": "abs_rel", "wanted": 1}
    write_json(searches / "running" / "result.json", known)
    assert swept(project)["studies"] == ["searches/done"]
    assert {path.name for path in searches.iterdir()} == {
        "running", "unsent", "elsewhere", "kept"
    }  # fmt: skip
    stay = ("running", "unsent", "kept")
    assert runs_in(project) == {*stay, *(f"trial of {name}" for name in stay)}


def test_checkpoints_of_the_newest_training_stay_and_older_ones_go(project: Path) -> None:
    checkpoints = project / "checkpoints"
    for name in ("nyu", "nyu.previous", "measured"):
        (checkpoints / name).mkdir(parents=True)
        (checkpoints / name / "file").write_text("bytes")
    for name in ("nyu", "evaluate-old", "evaluate-unsent"):
        run_name = "newest" if name == "nyu" else name
        _put_record(checkpoints / "tracking" / name, run_name, stored=name != "evaluate-unsent")
        put_run(project, run_name)
    gone = swept(project)
    assert gone["trainings"] == ["checkpoints/nyu.previous"]
    assert gone["records of runs"] == ["checkpoints/tracking/evaluate-old"]
    assert (checkpoints / "measured" / "file").is_file()
    assert runs_in(project) == {"newest", "evaluate-unsent"}


def test_results_go_with_the_versions_and_runs_that_they_are_called_by(project: Path) -> None:
    kept = put_run(project, "kept", {"symbio.keep": "true"})
    put_version(project, kept)
    put_version(project, put_run(project, "refused"))
    stay = ("evaluations/symbio-nyu-1", "reproductions/symbio-nyu-1", "evaluations/by-hand")
    stay += (f"comparisons/symbio-nyu-1--run-{kept[:8]}",)
    for path in (*stay, "evaluations/symbio-nyu-2", "comparisons/symbio-nyu-1--symbio-nyu-2"):
        (project / path).mkdir(parents=True)
        (project / path / "page.html").write_text("page")
    checkout = project / "reproductions" / "symbio-nyu-2" / "checkout"
    git(project, "worktree", "add", "-q", "--detach", str(checkout))
    gone = swept(project)
    assert gone["reproductions"] == ["reproductions/symbio-nyu-2"]
    assert gone["evaluations"] == ["evaluations/symbio-nyu-2"]
    assert gone["comparisons"] == ["comparisons/symbio-nyu-1--symbio-nyu-2"]
    assert all((project / path / "page.html").is_file() for path in stay)
    assert "symbio-nyu-2" not in git(project, "worktree", "list")


def test_links_are_never_followed(project: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious" / "symbio-nyu-9"
    precious.mkdir(parents=True)
    (precious / "file").write_text("precious")
    os.symlink(precious.parent, project / "evaluations")
    (project / "comparisons").mkdir()
    os.symlink(precious, project / "comparisons" / "symbio-nyu-9")
    folder = project / "reproductions" / "symbio-nyu-9"
    folder.mkdir(parents=True)
    os.symlink(precious, folder / "data")
    assert swept(project)["reproductions"] == ["reproductions/symbio-nyu-9"]
    assert (precious / "file").read_text() == "precious"
    assert not folder.exists()
    for path in (project / "comparisons" / "symbio-nyu-9", tmp_path / "precious", project):
        with pytest.raises(SymbioError, match="not touched"):
            remove_folder(path, project)


def test_a_folder_weighs_what_its_going_frees(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "own").write_bytes(b"x" * 1000)
    (tmp_path / "shared").write_bytes(b"x" * 500)
    os.link(tmp_path / "shared", tmp_path / "folder" / "shared")
    os.symlink(tmp_path / "shared", tmp_path / "folder" / "link")
    os.utime(tmp_path / "folder" / "own", (0, 0))
    weight = weight_of(tmp_path / "folder")
    assert weight.size == 1000
    assert weight.changed > 1e9


def test_within_a_worktree_it_refuses(project: Path) -> None:
    folder = _workspace(project, "other")
    with pytest.raises(SymbioError, match=r"is a worktree of .*; run `symbio gc` there"):
        run(folder, now=later())
