"""Nothing goes while somebody is at work, or where the store may be the wrong one."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.gc.run import run
from symbio.ranks.ending import RESUME_ME
from tests.gc.held import NAME, later, objects_in, put_object, put_run, put_version, swept


def _refused(project: Path, why: str) -> SymbioError:
    before = objects_in(project)
    with pytest.raises(SymbioError, match=why) as refused:
        run(project, sweep=True, now=later())
    assert objects_in(project) == before
    return refused.value


def test_while_dvc_runs_a_stage_nothing_goes(project: Path) -> None:
    put_object(project, b"unneeded")
    folder = project / ".dvc" / "tmp"
    folder.mkdir()
    note = {"pid": os.getpid(), "cmd": "dvc repro prepare@nyu"}
    (folder / "rwlock").write_text(json.dumps({"read": {}, "write": {"data/prepared/nyu": note}}))
    error = _refused(project, r"`dvc repro prepare@nyu` \(process \d+\) is at work there")
    assert error.exit_code == RESUME_ME
    # Its process is gone: as for DVC itself, the note says nothing any more.
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (folder / "rwlock").write_text(json.dumps({"read": {"x": [{**note, "pid": gone.pid}]}}))
    assert list(swept(project)) == ["DVC objects"]


def test_one_sweep_at_a_time(project: Path) -> None:
    with (project / "mlruns" / ".gc.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert _refused(project, "another `symbio gc` is at work").exit_code == RESUME_ME
        run(project, now=later())


def test_a_store_without_the_version_registered_last_is_taken_for_a_wrong_one(
    project: Path,
) -> None:
    put_object(project, b"of a version in another store")
    run_id = put_run(project, "trained")
    entry = {"name": NAME, "version": put_version(project, run_id), "run_id": run_id}
    (project / "registry").mkdir()
    (project / "registry" / "nyu.json").write_text(json.dumps({**entry, "run_id": "0" * 32}))
    assert _refused(project, "which this store does not have").exit_code == 2
    (project / "registry" / "nyu.json").write_text(json.dumps(entry))
    assert "DVC objects" in swept(project)


def test_a_store_that_is_away_stops_everything(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_object(project, b"of a version in the store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert _refused(project, "what is needed cannot be had").exit_code == RESUME_ME


def test_an_interrupted_sweep_leaves_no_pointer_to_nothing_and_the_next_one_ends_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import symbio.gc.sweep as sweeping
    from symbio.tracking import open_store

    for number in range(2):
        put_version(project, put_run(project, f"run {number}"))
        put_object(project, f"{number}".encode())
    whole = sweeping.track

    def interrupted(items: list[object], what: str) -> object:
        for number, one in enumerate(whole(items, what)):
            if number == 3:
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(sweeping, "track", interrupted)
    with pytest.raises(KeyboardInterrupt):
        swept(project)
    client = open_store(project)
    runs = {one.info.run_id for one in client.search_runs(["1"])}
    models = {one.model_id: one for one in client.search_logged_models(["1"])}
    for version in client.search_model_versions(f"name = '{NAME}'"):
        assert version.source.removeprefix("models:/") in models
    assert {one.source_run_id for one in models.values()} <= runs
    monkeypatch.undo()
    swept(project)
    assert not client.search_runs(["1"])
    assert not objects_in(project)
    assert swept(project) == {}
