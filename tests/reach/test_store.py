"""`symbio reach` as it is typed: the embedded store, a server with artifacts in S3, failures."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.reach import reached
from symbio.reach.store import require_store
from tests.embedded_store import put_store
from tests.reach.object_store import SECRET, ObjectStore, free_ports
from tests.reach.proxy import HANG, UNAVAILABLE, Proxy, proxy_to

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def mlflow_server(folder: Path, artifacts: str) -> Iterator[int]:
    """The port of a server whose clients write artifacts themselves."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlruns/mlflow.db"]
    command += ["--default-artifact-root", artifacts, "--no-serve-artifacts"]
    put_store(folder)
    # As the server makes it on a new database.
    with contextlib.closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database:
        database.execute("update experiments set artifact_location = ?", (f"{artifacts}/0",))
        database.commit()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 120
        while not _is_up(port):
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.3)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def reach(folder: Path, **variables: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `symbio reach`."""
    done = subprocess.run(
        [sys.executable, "-m", "symbio.cli", "reach"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_embedded_store(tmp_path: Path) -> None:
    (fresh,) = require_store(tmp_path)
    assert fresh.where == str(tmp_path.resolve() / "mlruns" / "mlflow.db")
    assert fresh.seconds < 5
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("a file where the folder belongs")
    with pytest.raises(SymbioError, match="mlruns .* cannot be written") as told:
        require_store(tmp_path)
    assert told.value.exit_code == 2


def test_artifacts_are_looked_for_where_the_experiment_has_them(
    tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symbio.tracking import open_store

    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", store.url)
    put_store(tmp_path)
    open_store(tmp_path).create_experiment("symbio-nyu", "s3://nowhere/here")
    with pytest.raises(SymbioError, match="s3://nowhere/here.*NoSuchBucket") as told:
        require_store(tmp_path)
    assert told.value.exit_code == 2


@pytest.mark.parametrize("fault", [HANG, UNAVAILABLE])
def test_a_server_that_is_unwell_is_told_in_time(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Any server will do: none of its answers arrives."""
    monkeypatch.setattr(reached, "DEADLINE_S", 6.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.url)
    proxy.fail(fault)
    begun = time.monotonic()
    with pytest.raises(SymbioError) as told:
        require_store(tmp_path)
    assert time.monotonic() - begun < 10
    assert told.value.exit_code == 75
    assert proxy.url in str(told.value)
    assert "tracking store" in str(told.value)


def test_nothing_listens_and_no_such_server(
    tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://somebody:a-secret-9Kq@127.0.0.1:{port}")
    with pytest.raises(SymbioError, match=f"127.0.0.1:{port}") as away:
        require_store(tmp_path)
    assert away.value.exit_code == 75
    assert "a-secret-9Kq" not in str(away.value)
    # Something answers there, but it is no MLflow.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.url)
    with pytest.raises(SymbioError, match="look at MLFLOW_TRACKING_URI .set.") as wrong:
        require_store(tmp_path)
    assert wrong.value.exit_code == 2


@pytest.mark.slow
def test_the_verb_with_a_server(
    tmp_path: Path, store: ObjectStore, bucket: str, proxy: Proxy
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "server").mkdir()
    with (
        mlflow_server(tmp_path / "server", f"s3://{bucket}/runs") as port,
        proxy_to(port) as server,
    ):
        good = {
            "MLFLOW_TRACKING_URI": server.url,
            "AWS_ENDPOINT_URL_S3": proxy.url,
            "SYMBIO_DVC_REMOTE": f"s3://{bucket}/dvc",
            "SYMBIO_TELL": str(tmp_path / "told"),
        }
        code, out, err = reach(project, **good)
        assert code == 0, err
        lines = [re.sub(r"\(\d+\.\d s\)$", "(N s)", line) for line in out.splitlines()]
        assert lines == [
            f"tracking store: {server.url} (N s)",
            f"artifacts of runs: s3://{bucket}/runs (N s)",
            f"DVC remote: s3://{bucket}/dvc (N s)",
        ]
        assert store.objects(bucket) == {}

        code, out, err = reach(project, **good, AWS_SECRET_ACCESS_KEY="a-wrong-secret-9Kq")
        assert code == 2
        assert err.count("SignatureDoesNotMatch") >= 2
        assert "9Kq" not in out + err
        assert SECRET not in out + err
        ending = json.loads((tmp_path / "told" / "ending.json").read_text())
        assert ending["exit_code"] == 2

        proxy.fail(UNAVAILABLE)
        assert reach(project, **good)[0] == 75
        proxy.heal()
