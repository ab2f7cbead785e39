"""A tracking server that is killed in the middle of a training and comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from symbio.lineage.collect import Lineage
from symbio.tracking import tracked_training, training

NUM_STEPS = 300


@contextlib.contextmanager
def server(root: Path, port: int) -> Iterator[None]:
    command = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{root}/server.db"]
    command += ["--artifacts-destination", str(root / "server-artifacts")]
    with (root / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 120
        while not _is_up(port):
            assert process.poll() is None, (root / "server.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.3)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def rows(root: Path) -> list[tuple]:
    with sqlite3.connect(root / "server.db") as database:
        query = "select key, step, value, timestamp from metrics where key = 'loss' order by step"
        return database.execute(query).fetchall()


@pytest.mark.slow
def test_an_outage_costs_neither_a_metric_nor_a_step(
    project: Path, tmp_path: Path, lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SEND_EVERY_S", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    slowest = 0.0

    def steps(first: int, last: int) -> None:
        nonlocal slowest
        for step in range(first, last):
            begun = time.monotonic()
            run.metrics({"step": step, "time": 1000.0 + step, "metrics": {"loss": 1 / step}})
            slowest = max(slowest, time.monotonic() - begun)

    with contextlib.ExitStack() as stack:
        with server(tmp_path, port):
            run = stack.enter_context(tracked_training(project, "nyu", lineage))
            steps(1, 100)
            until = time.monotonic() + 60
            while len(rows(tmp_path)) < 50:
                assert time.monotonic() < until
                time.sleep(0.1)
        steps(100, 200)
        time.sleep(2.0)
        stack.enter_context(server(tmp_path, port))
        steps(200, NUM_STEPS)
        run.finish("FINISHED")
        expected = [("loss", s, 1 / s, 1_000_000 + 1000 * s) for s in range(1, NUM_STEPS)]
        assert rows(tmp_path) == expected
        with sqlite3.connect(tmp_path / "server.db") as database:
            assert database.execute("select status from runs").fetchall() == [("FINISHED",)]
    assert slowest < 0.5, f"a step waited {slowest:.2f} s for the store"
