"""Flows on the real servers, on good days and bad ones: PostgreSQL, S3, MLflow, Prefect, a worker.

One platform serves all tests, in the order of this file.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from symbio.register.register import CANDIDATE
from tests.flows.platform import STEPS, Platform, running_platform, until
from tests.project import make_project
from tests.reach.proxy import UNAVAILABLE, proxy_to

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SAMPLE = [sys.executable, "-m", "symbio.cli", "sample"]
STAGES = ("sample", "prepare", "label", "train", "evaluate", "register")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("platform")) as running:
        yield running


def change(platform: Platform, **values: Any) -> None:
    """Other parameters of training in the checkout, as a person edits them."""
    path = platform.project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["train"].update(values)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def clean(platform: Platform, dataset: str = "nyu") -> None:
    """No process is left, and DVC finds every stage as its lock file says."""
    platform.nothing_left()
    stages = [f"{stage}@{dataset}" for stage in STAGES]
    told = platform.command("dvc", "status", "--json", *stages)
    assert json.loads(told.stdout) == {}, told.stdout


def mlflow(platform: Platform) -> Any:
    from mlflow import MlflowClient

    given = platform.stack.environment()
    login = f"{given['MLFLOW_TRACKING_USERNAME']}:{given['MLFLOW_TRACKING_PASSWORD']}"
    uri = given["MLFLOW_TRACKING_URI"].replace("://", f"://{login}@")
    return MlflowClient(uri, uri)


def objects(platform: Platform, bucket: str) -> dict[str, int]:
    """Key -> size, asked of the store itself."""
    import boto3

    values = platform.stack.environment()
    client = boto3.client(
        "s3",
        endpoint_url=values["AWS_ENDPOINT_URL"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        region_name=values["AWS_DEFAULT_REGION"],
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}


def training_run(platform: Platform) -> str:
    """The run that exported models/nyu."""
    weights = json.loads((platform.project / "models/nyu/model.json").read_text())["weights_sha256"]
    (experiment,) = mlflow(platform).search_experiments(filter_string="name = 'symbio-nyu'")
    (run,) = mlflow(platform).search_runs(
        [experiment.experiment_id], f"tags.`symbio.weights_sha256` = '{weights}'"
    )
    return str(run.info.run_id)


def assert_every_metric_is_stored(platform: Platform, steps: int = STEPS) -> None:
    """Each step of the training's own journal is in MLflow, with its value."""
    run = training_run(platform)
    stored = mlflow(platform).get_metric_history(run, "train/loss")
    told = {
        line["step"]: line["metrics"]["train/loss"]
        for line in platform.journal()
        if "train/loss" in line.get("metrics", {})
    }
    assert sorted(told) == list(range(1, steps + 1))
    assert {one.step: one.value for one in stored} == pytest.approx(told)


def test_two_data_sets_at_once_run_to_the_registry_by_their_bare_names(platform: Platform) -> None:
    kitti = platform.run("train-kitti")
    told = platform.command("prefect", "deployment", "run", "train-nyu", "--watch", timeout=600)
    assert told.returncode == 0, told.stdout[-3000:]
    assert "Completed" in told.stdout
    platform.wait_for(kitti, "Completed")
    clean(platform)
    clean(platform, "kitti")
    assert_every_metric_is_stored(platform)
    files = objects(platform, "symbio-mlflow")
    for dataset in ("nyu", "kitti"):
        version = mlflow(platform).get_model_version_by_alias(f"symbio-{dataset}", CANDIDATE)
        (experiment,) = mlflow(platform).search_experiments(
            filter_string=f"name = 'symbio-{dataset}'"
        )
        weights = [
            key
            for key in files
            if key.startswith(f"{experiment.experiment_id}/")
            and key.endswith("network/weights.safetensors")
        ]
        local = (platform.project / f"models/{dataset}/weights.safetensors").stat().st_size
        assert [files[key] for key in weights] == [local]
        assert version.run_id is not None
    # What the runs made is in the DVC remote too.
    assert len(objects(platform, "symbio-data")) > 40


def test_the_run_page_tells_what_was_done(platform: Platform) -> None:
    run = newest_run(platform)
    tags = platform.ask(f"/flow_runs/{run}")["tags"]
    assert {"symbio", "dataset:nyu", "preset:own"} <= set(tags)
    assert any(tag.startswith("commit:") for tag in tags)
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}, "limit": 100}
    artifacts = {one["key"]: one for one in platform.ask("/artifacts/filter", wanted)}
    summary = artifacts["nyu-summary"]["data"]
    metrics = json.loads((platform.project / "metrics/nyu.json").read_text())
    assert f"{metrics['trained']['abs_rel']:.3f}" in summary
    assert "data:image/jpeg;base64," in summary
    assert artifacts["train-nyu-progress"]["data"] == 100
    url = platform.stack.environment()["MLFLOW_TRACKING_URI"]
    assert f"{url}/#/models/symbio-nyu/versions/1" in summary


def newest_run(platform: Platform) -> str:
    wanted = {"flows": {"name": {"any_": ["train-nyu"]}}, "sort": "START_TIME_DESC", "limit": 1}
    return str(platform.ask("/flow_runs/filter", wanted)[0]["id"])


def test_a_rerun_does_only_what_is_not_done(platform: Platform) -> None:
    run = platform.run("train-nyu/local")
    platform.wait_for(run, "Completed")
    tasks = platform.tasks(run)
    assert {tasks[f"{stage}@nyu"] for stage in STAGES} == {"Cached"}


def test_stopped_in_every_way_and_continued_by_the_same_command(platform: Platform) -> None:
    """Cancelled; its worker killed; preempted: each time it goes on where it was."""
    change(platform, lr=0.0029)

    run = platform.run("train-nyu")
    reached = platform.wait_for_step(20)
    began = time.monotonic()
    assert platform.command("prefect", "flow-run", "cancel", run).returncode == 0
    platform.wait_for(run, "Cancelled", seconds=40)
    platform.nothing_left(seconds=max(1.0, 30 - (time.monotonic() - began)))
    assert "preempted" in platform.command("symbio", "status", "nyu").stdout

    run = platform.run("train-nyu")
    reached = platform.wait_for_step(reached + 20)
    platform.services["worker"].kill()
    state = platform.wait_for(run, "Crashed", seconds=60)
    assert state["type"] == "CRASHED"
    platform.nothing_left()

    until(platform.services["worker"].healthy, 60, lambda: "the worker is not back")
    run = platform.run("train-nyu")
    platform.wait_for_step(reached + 20)
    platform.process("bin/symbio train nyu").terminate()
    until(lambda: platform.tasks(run).get("train@nyu") == "AwaitingRetry", 40, platform.processes)
    platform.wait_for(run, "Completed")
    assert platform.tasks(run)["train@nyu"] == "Completed"

    clean(platform)
    starts = [line["from_step"] for line in platform.journal() if line.get("event") == "start"]
    assert starts[0] == 0
    assert all(later > earlier >= 0 for earlier, later in itertools.pairwise(starts))
    assert len(starts) == 4
    assert_every_metric_is_stored(platform)


def test_the_same_flow_twice_at_once_while_every_server_has_a_bad_day(platform: Platform) -> None:
    """The second waits for the first and says so; no step and no metric is lost.

    MLflow is away for a minute of the training, whose steps take as long as ever; PostgreSQL is
    started again; S3 answers 503 for half a minute when the model is registered.
    """
    num_steps = 900
    change(platform, lr=0.0028, steps=num_steps, checkpoint_every=100)
    values = platform.stack.environment()
    with proxy_to(int(values["AWS_ENDPOINT_URL"].rpartition(":")[2])) as proxy:
        through = {name: proxy.url for name in values if name.endswith(("_URL_S3", "ENDPOINT_URL"))}
        options = ("--job-variable", "env=" + json.dumps({"SYMBIO_WHERE": "local", **through}))
        runs = [platform.run("train-nyu/local", *options) for _ in range(2)]
        platform.wait_for_step(20)
        away_from = time.time()
        platform.services["mlflow"].stop()
        time.sleep(60)
        back_at = time.time()
        platform.services["mlflow"].start()
        platform.services["postgres"].restart()
        # Half a minute from the first request on, which the end of the training sends.
        proxy.fail(UNAVAILABLE, seconds=30)
        for run in runs:
            platform.wait_for(run, "Completed", seconds=400)
        assert proxy.seen[UNAVAILABLE] > 3
    clean(platform)
    assert_every_metric_is_stored(platform, num_steps)
    # Trained once: the training's journal knows one start.
    assert [line.get("event") for line in platform.journal()].count("start") == 1
    assert "is being run by train-nyu/" in "".join(platform.log(run) for run in runs)
    steps = [line for line in platform.journal() if "time/step_s" in line.get("metrics", {})]
    away = [one["metrics"]["time/step_s"] for one in steps if away_from < one["time"] < back_at]
    before = [one["metrics"]["time/step_s"] for one in steps[5:20]]
    assert len(away) > 20
    assert steps[-1]["time"] > back_at, "the training was over before MLflow was back"
    assert statistics.median(away) < 1.5 * statistics.median(before)


def test_wrong_s3_credentials_are_told_before_any_work(platform: Platform) -> None:
    path = platform.project / "params.yaml"
    good = path.read_bytes()
    change(platform, lr=0.0025)
    wrong = {"SYMBIO_WHERE": "local", "AWS_SECRET_ACCESS_KEY": "wrong" * 8}
    run = platform.run("train-nyu/local", "--job-variable", "env=" + json.dumps(wrong))
    state = platform.wait_for(run, "Failed", seconds=60)
    assert "AWS_SECRET_ACCESS_KEY" in state["message"] + platform.log(run)
    assert "wrongwrong" not in state["message"] + platform.log(run)
    assert set(platform.tasks(run)) == {"reach"}
    path.write_bytes(good)
    clean(platform)


def test_bad_parameters_fail_at_once_and_are_not_tried_again(platform: Platform) -> None:
    overrides = json.dumps({"nearfarmix.probability": 7})
    run = platform.run("train-nyu/local", "--param", f"overrides={overrides}")
    state = platform.wait_for(run, "Failed", seconds=60)
    assert "nearfarmix.probability" in state["message"]
    assert platform.tasks(run) == {}
    clean(platform)


def test_other_parameters_work_beside_the_checkout(platform: Platform) -> None:
    before = (platform.project / "dvc.lock").read_bytes()
    overrides = json.dumps({"teacher.min_confidence": 0.25})
    options = ("--param", "dataset=nyu", "--param", f"overrides={overrides}")
    run = platform.run("label", *options)
    platform.wait_for(run, "Completed")
    (workspace,) = (one for one in (platform.project / "workspaces").iterdir() if one.is_dir())
    header = yaml.safe_load((workspace / "params.yaml").read_text())["teacher"]
    assert header["min_confidence"] == 0.25
    assert (workspace / "data/pseudo/nyu/index.json").is_file()
    assert (platform.project / "dvc.lock").read_bytes() == before
    clean(platform)


def test_new_data_at_its_source_runs_the_pipeline(platform: Platform) -> None:
    project, source = platform.project, platform.project.parent / "source"
    shutil.copytree(project / "data/sample/nyu", source)
    (project / "data/raw").mkdir()
    told = platform.command("dvc", "import-url", "--quiet", str(source), "data/raw/nyu")
    assert told.returncode == 0, told.stderr
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("raw: data/sample/nyu", "raw: data/raw/nyu"))
    change(platform, steps=10)

    run = platform.run("retrain-on-new-data", "--param", "dataset=nyu")
    platform.wait_for(run, "Completed")
    assert set(platform.tasks(run)) == {"reach", "update@nyu"}

    other = make_project(platform.project.parent / "other")
    (other / "params.yaml").write_text(path.read_text().replace("test: 3", "test: 3\n    seed: 8"))
    shutil.rmtree(source)
    environment = {**os.environ, "PYTHONPATH": str(other)}
    subprocess.run([*SAMPLE, "nyu"], cwd=other, env=environment, check=True, capture_output=True)
    shutil.copytree(other / "data/sample/nyu", source)
    before = len(mlflow(platform).search_model_versions("name = 'symbio-nyu'"))
    run = platform.run("retrain-on-new-data", "--param", "dataset=nyu")
    platform.wait_for(run, "Completed")
    assert platform.tasks(run)["train@nyu"] == "Completed"
    assert len(mlflow(platform).search_model_versions("name = 'symbio-nyu'")) == before + 1
    platform.nothing_left()
