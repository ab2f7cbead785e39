"""Links to MLflow's pages, asked of a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from flows.page.links import Link, mlflow_address, mlflow_links
from flows.page.summary import write_summary
from symbio.tracking import open_store, record_run, send_run
from tests.embedded_store import put_store
from tests.flows.page.conftest import Server, artifacts
from tests.flows.page.test_summary import DECISION, STAGES, write_results

CLOSED = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server."""
    root = tmp_path_factory.mktemp("mlflow")
    put_store(root)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    programs = Path(sys.executable).parent
    with (root / "server.log").open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
                "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{root}/mlruns/mlflow.db",
            ],
            cwd=root,
            env={
                **os.environ,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 90.0
        while not _answers(address):
            assert time.monotonic() < until, (root / "server.log").read_text()[-4000:]
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.slow
def test_links_lead_to_the_run_and_the_version(
    server: Server, mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow
    from prefect.context import FlowRunContext

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    folder = tmp_path / "run"
    record_run(folder, tmp_path, experiment="symbio-nyu", name="train-nyu-1", status="FINISHED")
    run = send_run(folder, tmp_path)
    experiment = open_store(tmp_path).get_experiment_by_name("symbio-nyu")
    assert experiment is not None
    entry = {"name": "symbio-nyu", "version": "3", "run_id": run}
    page = f"{mlflow}/#/experiments/{experiment.experiment_id}/runs/{run}"
    version = Link("version", "symbio-nyu, version 3", f"{mlflow}/#/models/symbio-nyu/versions/3")
    assert mlflow_links(tmp_path, entry) == [Link("run", "run train-nyu-1", page), version]
    # A run that is not there has no page.
    assert mlflow_links(tmp_path, {**entry, "run_id": "0" * 32}) == [version]

    @flow
    def training() -> UUID:
        write_summary(tmp_path, "nyu", STAGES, DECISION)
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        return context.flow_run.id

    write_results(tmp_path)
    (tmp_path / "registry" / "nyu.json").write_text(
        f'{{"run_id": "{run}", "name": "symbio-nyu", "version": "3"}}'
    )
    found = {artifact.key: artifact for artifact in artifacts(training())}
    assert set(found) == {"nyu-summary", "nyu-run", "nyu-version"}
    assert found["nyu-run"].data == f"[run train-nyu-1]({page})"
    assert found["nyu-version"].data == f"[{version.text}]({version.url})"
    assert f"[run train-nyu-1]({page})" in found["nyu-summary"].data


@pytest.mark.slow
def test_a_store_that_is_away_costs_the_runs_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", CLOSED)
    entry = {"name": "symbio-nyu", "version": "3", "run_id": "0" * 32}
    began = time.monotonic()
    assert [link.what for link in mlflow_links(tmp_path, entry)] == ["version"]
    assert time.monotonic() - began < 20.0


def test_addresses_hold_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:secret@tracking:5000/")
    assert mlflow_address(tmp_path) == "http://tracking:5000"
    monkeypatch.setenv("SYMBIO_MLFLOW_UI", "https://localhost:8443/mlflow/")
    assert mlflow_address(tmp_path) == "https://localhost:8443/mlflow"


def test_the_embedded_store_has_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("SYMBIO_MLFLOW_UI", raising=False)
    assert mlflow_address(tmp_path) is None
    assert mlflow_links(tmp_path, {"name": "symbio-nyu", "version": "3", "run_id": "a"}) == []
