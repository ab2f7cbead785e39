"""Tracked trainings, with the real uploader process and a real store."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from symbio.lineage.collect import Lineage
from symbio.ranks.heartbeat import Heartbeat, heartbeat_file, ranks_folder, write_heartbeat
from symbio.tracking import (
    TrainingRun,
    Trial,
    log_evaluation,
    open_store,
    run_folder,
    sending_behind,
    sync,
    tracked_training,
    training,
    training_run,
)
from symbio.tracking.mirror import STATE_TAG
from symbio.tracking.record import RunRecord, read_record
from symbio.train.records.status import write_status

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = "e" * 64


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SEND_EVERY_S", 0.2)
    monkeypatch.setattr(training, "GRACE_S", 30.0)


def rows(root: Path, query: str) -> list[tuple]:
    with sqlite3.connect(root / "mlruns" / "mlflow.db") as database:
        return database.execute(query).fetchall()


def records(steps: range) -> list[dict]:
    return [{"step": n, "epoch": 0, "time": 5.0 + n, "metrics": {"train/loss": n}} for n in steps]


def train(run: TrainingRun, steps: range) -> None:
    """What a training does: it leaves a journal of its own and hands every record over."""
    own = run.root / "checkpoints" / "nyu" / "journal.jsonl"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.touch()
    for record in records(steps):
        run.metrics(record)


def exported(root: Path) -> Path:
    """The card that training writes beside its weights."""
    folder = root / "models" / "nyu"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps({"weights_sha256": WEIGHTS}))
    return folder


def test_a_training_and_what_follows_it(project: Path, lineage: Lineage) -> None:
    with tracked_training(project, "nyu", lineage) as run:
        train(run, range(1, 8))
        run.made(exported(project), ["a", "b"], ["cpu", "cpu", "gpu"])
    record = read_record(run.folder)
    assert (record.status, record.stored) == ("FINISHED", True)

    stored = open_store(project).get_run(record.run_id)
    assert stored.info.status == "FINISHED"
    losses = rows(project, "select step, value from metrics where key = 'train/loss' order by step")
    assert losses == [(step, step) for step in range(1, 8)]
    assert stored.data.params["train.lr"] == "0.003"
    assert "kitti.raw" not in stored.data.params
    assert stored.data.tags["symbio.git_commit"] == lineage.git.commit
    digests = {one.dataset.name: one.dataset.digest for one in stored.inputs.dataset_inputs}
    assert digests["nyu-prepared"] == "0123456789abcdef0123456789abcdef.dir"
    assert "system/cpu_utilization_percentage" in stored.data.metrics
    kept = project / "mlruns/artifacts/symbio-nyu" / record.run_id / "artifacts/lineage"
    assert json.loads((kept / "lineage.json").read_text())["seed"] == 7

    assert stored.data.tags["symbio.weights_sha256"] == WEIGHTS
    assert stored.data.tags["symbio.hosts"] == "a, b"
    assert stored.data.tags["symbio.devices"] == "2 x cpu, 1 x gpu"
    assert training_run(project, "nyu") == record.run_id
    shutil.rmtree(run.folder)
    assert training_run(project, "nyu") == record.run_id, "the store alone knows it as well"
    (project / "metrics").mkdir()
    scores = {"trained": {"abs_rel": 0.1, "rmse": None}, "constant": {"abs_rel": 0.5}}
    metrics = {"protocol": "nyu-eigen", "num_images": 3, **scores}
    (project / "metrics" / "nyu.json").write_text(json.dumps(metrics))
    (project / "reports" / "nyu").mkdir(parents=True)
    (project / "reports" / "nyu" / "report.html").write_text("<html>")
    for _ in range(2):
        assert log_evaluation(project, "nyu")
    assert rows(project, "select key, value from metrics where key like 'test/%' order by key") == [
        ("test/abs_rel", 0.1),
        ("test/constant/abs_rel", 0.5),
        ("test/num_images", 3.0),
    ]
    report = kept.parent / "evaluation" / "report" / "report.html"
    assert report.read_text() == "<html>"
    assert open_store(project).get_run(record.run_id).info.status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "KILLED"), (SystemExit(3), "FAILED"), (RuntimeError("x"), "FAILED")],
)
def test_a_training_that_breaks_off_is_never_finished(
    project: Path, lineage: Lineage, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), tracked_training(project, "nyu", lineage):
        raise error
    assert rows(project, "select status from runs") == [(status,)]


def test_a_stopped_training_goes_on_as_the_same_run(project: Path, lineage: Lineage) -> None:
    with tracked_training(project, "nyu", lineage) as run:
        train(run, range(1, 4))
        run.finish("KILLED")
    assert rows(project, "select status from runs") == [("KILLED",)]
    with tracked_training(project, "nyu", lineage) as run:
        train(run, range(1, 6))
    assert rows(project, "select status from runs") == [("FINISHED",)]
    losses = rows(project, "select step from metrics where key = 'train/loss' order by step")
    assert losses == [(step,) for step in range(1, 6)]


def test_which_training_goes_on(project: Path, lineage: Lineage) -> None:
    folder = run_folder(project, "nyu")
    folder.mkdir(parents=True)
    first = training._record(folder, "nyu", lineage)
    training._begin(folder, first, started_before=True)
    (folder / "journal.jsonl").write_text(json.dumps(records(range(1, 2))[0]) + "\n")

    training._begin(folder, training._record(folder, "nyu", lineage), started_before=True)
    assert read_record(folder).key == first.key
    assert (folder / "journal.jsonl").is_file()

    training._begin(folder, training._record(folder, "nyu", lineage), started_before=False)
    second = read_record(folder)
    assert second.key != first.key
    assert second.tags["symbio.run_before"] == first.key
    assert not (folder / "journal.jsonl").exists(), "metrics of another run"

    lineage.params["train"]["lr"] = 1.0
    training._begin(folder, training._record(folder, "nyu", lineage), started_before=True)
    assert read_record(folder).key != second.key


def test_a_store_that_is_away_costs_no_training(
    project: Path,
    lineage: Lineage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training, "GRACE_S", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = time.monotonic()
    with tracked_training(project, "nyu", lineage) as run:
        begun = time.monotonic() - started
        train(run, range(1, 4))
        run.made(exported(project))
    assert begun < 1.0, "the training waited for the store"
    assert "symbio sync" in capsys.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert training_run(project, "nyu") is None
    assert sync(project) == 1
    assert rows(project, "select status from runs") == [("FINISHED",)]
    assert rows(project, "select count(*) from metrics where key = 'train/loss'") == [(3,)]
    assert training_run(project, "nyu") == read_record(run.folder).run_id


def test_trainings_in_a_row_do_not_wait_for_the_store(
    project: Path, lineage: Lineage, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []
    with sending_behind():
        started = time.monotonic()
        for number in (1, 2):
            root = project / f"trial-{number}"
            trial = Trial(root, root.name, RunRecord("symbio-nyu", "study"), {})
            with tracked_training(project, "nyu", lineage, trial) as run:
                train(run, range(1, 4))
            folders.append(run.folder)
        assert time.monotonic() - started < 1.0, "a training waited for the store"
    assert rows(project, "select name, status from runs order by name") == [
        ("trial-1", "FINISHED"),
        ("trial-2", "FINISHED"),
    ]
    assert rows(project, "select count(*) from metrics where key = 'train/loss'") == [(6,)]
    assert all(read_record(folder).stored for folder in folders)
    assert capsys.readouterr().err == ""


def test_a_training_killed_without_a_word_does_not_run_for_ever(project: Path) -> None:
    script = f"""
import time
from pathlib import Path
from symbio.lineage.collect import collect
from symbio.params import load_params
from symbio.tracking import tracked_training, training
training.SEND_EVERY_S = 0.2
params = load_params(Path({str(ROOT / "symbio/presets/sample.yaml")!r}))
root = Path({str(project)!r})
with tracked_training(root, "nyu", collect(root, params, [])):
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    _wait_for(project, [("RUNNING",)])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _wait_for(project, [("KILLED",)])


def _wait_for(root: Path, expected: list[tuple]) -> None:
    until = time.monotonic() + 60
    while rows(root, "select status from runs") != expected:
        assert time.monotonic() < until, f"not {expected} after a minute"
        time.sleep(0.1)


def test_the_run_is_tagged_with_what_its_ranks_really_do(project: Path, lineage: Lineage) -> None:
    own, usual = project / "checkpoints" / "nyu", heartbeat()
    write_status(own, "running", step=1, steps=9)
    with tracked_training(project, "nyu", lineage) as run:
        time.sleep(1.0)
        assert STATE_TAG not in read_record(run.folder).tags, "what is there is of an earlier start"
        write_heartbeat(ranks_folder(own), usual)
        _wait_for_state(project, "running")
        write_heartbeat(ranks_folder(own), dataclasses.replace(usual, in_step_s=60.0))
        _wait_for_state(project, "slow")
        write_heartbeat(ranks_folder(own), dataclasses.replace(usual, since_progress_s=301.0))
        _wait_for_state(project, "hung")
        stopped = time.time() - 20
        os.utime(heartbeat_file(ranks_folder(own), 0), (stopped, stopped))
        _wait_for_state(project, "dead")
        write_status(own, "preempted", step=1, steps=9)
        run.finish("KILLED")
    assert rows(project, "select status from runs") == [("KILLED",)]
    _wait_for_state(project, "preempted")


def heartbeat() -> Heartbeat:
    return Heartbeat(
        rank=0,
        world=1,
        host="another",
        pid=1,
        step=3,
        phase="forward",
        since_progress_s=0.1,
        in_step_s=0.2,
        step_s=0.3,
        limit_s=300.0,
        started=time.time() - 100,
        time=0.0,
    )


def _wait_for_state(root: Path, expected: str) -> None:
    until, query = time.monotonic() + 60, f"select value from tags where key = '{STATE_TAG}'"
    while rows(root, query) != [(expected,)]:
        assert time.monotonic() < until, f"{rows(root, query)}, not {expected} after a minute"
        time.sleep(0.1)
