"""Mirror against a real SQLite store, read back with sqlite3."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.tracking import open_store, record_run, send_quietly, send_run, sync
from symbio.tracking.mirror import Mirror
from symbio.tracking.record import RunRecord, read_record
from symbio.tracking.store import experiment_id, open_ui, ui_command

METRICS = "select run_uuid, key, value, timestamp, step from metrics order by step"


def rows(root: Path, query: str) -> list[tuple]:
    with sqlite3.connect(root / "mlruns" / "mlflow.db") as database:
        return database.execute(query).fetchall()


def journal(path: Path, steps: range) -> None:
    with path.open("a") as file:
        for step in steps:
            record = {"step": step, "time": 1000.0 + step, "metrics": {"loss": 1.0 / step}}
            file.write(json.dumps(record) + "\n")


def make(root: Path, status: str = "FINISHED", parent: RunRecord | None = None) -> Path:
    folder = root / "runs" / ("child" if parent else "one")
    folder.mkdir(parents=True)
    journal(folder / "journal.jsonl", range(1, 11))
    record_run(
        folder,
        root,
        experiment="symbio-nyu",
        name="a run",
        status=status,
        params={"lr": 0.1},
        tags={"colour": "blue"},
        parent=parent,
        journals=(folder / "journal.jsonl",),
    )
    return folder


def test_sending_again_stores_nothing_twice(project: Path) -> None:
    folder = make(project)
    run_id = send_run(folder, project)
    first = rows(project, METRICS)
    assert len(first) == 10
    assert first[4] == (run_id, "loss", 0.2, 1005000, 5)

    # As after a crash right after the run was made: the id was never written down.
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "run_id": None}))
    assert send_run(folder, project) == run_id
    assert rows(project, METRICS) == first
    assert rows(project, "select status, name from runs") == [("FINISHED", "a run")]
    assert ("lr", "0.1") in rows(project, "select key, value from params")


def test_a_run_goes_on_where_it_stopped(project: Path) -> None:
    folder = make(project, status="RUNNING")
    mirror = Mirror(folder, project)
    mirror.update()
    assert rows(project, "select status from runs") == [("RUNNING",)]
    journal(folder / "journal.jsonl", range(11, 16))
    mirror.update()
    assert rows(project, "select count(*), max(step) from metrics") == [(15, 15)]
    mirror.end("KILLED")
    mirror.close()
    assert rows(project, "select status from runs") == [("KILLED",)]
    assert read_record(folder).stored


def test_a_child_is_nested(project: Path) -> None:
    parent = make(project, status="RUNNING")
    assert send_quietly(parent, project)
    child = make(project, parent=read_record(parent))
    run_id = send_run(child, project)
    tags = open_store(project).get_run(run_id).data.tags
    assert tags["mlflow.parentRunId"] == read_record(parent).run_id


def test_a_run_deleted_in_the_store_is_made_anew(project: Path) -> None:
    folder = make(project)
    first = send_run(folder, project)
    open_store(project).delete_run(first)
    assert send_run(folder, project) != first


def test_a_locked_database_delays_metrics_and_loses_none(project: Path) -> None:
    folder = make(project)
    open_store(project)
    database = sqlite3.connect(project / "mlruns" / "mlflow.db", check_same_thread=False)
    database.execute("begin exclusive")
    release = threading.Timer(1.5, database.rollback)
    release.start()
    started = time.monotonic()
    while not send_quietly(folder, project):
        time.sleep(0.1)
    assert time.monotonic() - started > 1.0, "the lock was not in the way: the test proves nothing"
    release.join()
    database.close()
    assert rows(project, "select count(*) from metrics") == [(10,)]


def test_an_absent_store_costs_a_message_and_sync_catches_up(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project / "checkpoints" / "tracking" / "nyu"
    folder.mkdir(parents=True)
    journal(folder / "journal.jsonl", range(1, 4))
    record_run(
        folder, project, experiment="symbio-nyu", name="n", status="FAILED",
        journals=(folder / "journal.jsonl",),
    )  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    # The trainer's own file of that name is no tracked run.
    (project / "checkpoints" / "nyu").mkdir()
    (project / "checkpoints" / "nyu" / "run.json").write_text('{"ingredients": {}}')
    assert not send_quietly(folder, project)
    assert "symbio sync" in capsys.readouterr().err
    with pytest.raises(SymbioError, match=r"http://127\.0\.0\.1:9"):
        sync(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync(project) == 1
    assert rows(project, "select status from runs") == [("FAILED",)]
    assert rows(project, "select count(*) from metrics") == [(3,)]
    assert sync(project) == 0


def test_artifacts_lie_below_mlruns(project: Path) -> None:
    client = open_store(project)
    client.get_experiment(experiment_id(client, project, "symbio-nyu"))
    found = rows(project, "select artifact_location from experiments where name = 'symbio-nyu'")
    location = (project / "mlruns" / "artifacts" / "symbio-nyu").as_uri()
    assert found == [(location,)]
    folder = make(project)
    record = read_record(folder)
    (folder / "note.txt").write_text("hello")
    record.artifacts[str(folder / "note.txt")] = "notes"
    record.write(folder)
    run_id = send_run(folder, project)
    kept = project / "mlruns" / "artifacts" / "symbio-nyu" / run_id / "artifacts" / "notes"
    assert (kept / "note.txt").read_text() == "hello"


def test_the_browser_command_shows_this_store(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ui_command(project, port=5011)
    assert command[:2] == ["mlflow", "ui"]
    assert f"sqlite:///{project.resolve()}/mlruns/mlflow.db" in command
    with pytest.raises(SymbioError, match="train first"):
        ui_command(tmp_path / "nothing here")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    with pytest.raises(SymbioError, match=r"http://tracking\.example:5000"):
        open_ui(project)
