"""MLflow's own server, as it stands: no address leads out of its artifacts' folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from symbio.errors import SymbioError
from symbio.fetch.run import run as fetch
from symbio.model.manifest import check_manifest
from symbio.tracking.store import quiet
from tests.embedded_store import put_store
from tests.guarding.conftest import ADDRESS, log_package
from tests.reach.object_store import free_ports

SECRET = b"nobody's business"
_PROXIED = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Server:
    """A server whose artifacts lie in `folder / "served"`, beside a secret."""

    folder: Path
    port: int
    run_id: str = ""

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and content; the path goes out as it is written, which no browser does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        text = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if isinstance(body, dict) else {}
        try:
            connection.request(method, path.replace("RUN", self.run_id), text, kind)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "secret.txt").write_bytes(SECRET)
    put_store(folder)
    (port,) = free_ports(1)
    quiet()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlruns/mlflow.db"]
    command += ["--artifacts-destination", (folder / "served").as_uri()]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_up(Server(folder, port), process)
        yield _with_a_run(folder, port)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_up(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while True:
        assert process.poll() is None, (server.folder / "server.log").read_text()
        assert time.monotonic() < until
        with contextlib.suppress(OSError):
            if server.ask("GET", "/health")[0] == 200:
                return
        time.sleep(0.3)


def _with_a_run(folder: Path, port: int) -> Server:
    server = Server(folder, port)
    made = server.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "symbio-nyu"})[1]
    experiment = json.loads(made)["experiment_id"]
    body = {"experiment_id": experiment, "start_time": 1}
    run = json.loads(server.ask("POST", "/api/2.0/mlflow/runs/create", body)[1])["run"]["info"]
    server = Server(folder, port, run["run_id"])
    below = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert server.ask("PUT", f"{_PROXIED}/{below}/mine.txt", b"mine")[0] == 200
    return server


OUTWARDS = [
    slash.join([dots] * 4 + ["secret.txt"])
    for slash in ("/", "%2f", "%252f", "%5c")
    for dots in ("..", "%2e%2e", "%252e%252e")
]


@pytest.mark.slow
def test_no_address_reads_writes_or_removes_what_lies_outside(server: Server) -> None:
    absolute = str(server.folder / "secret.txt")
    paths = [*OUTWARDS, absolute, f"file://{absolute}", absolute.replace("/", "%2f")]
    for path in paths:
        for method, address in (
            ("GET", f"/get-artifact?path={path}&run_uuid=RUN"),
            ("GET", f"/model-versions/get-artifact?name=symbio-nyu&version=1&path={path}"),
            ("GET", f"/api/2.0/mlflow/artifacts/list?run_id=RUN&path={path}"),
            ("GET", f"{_PROXIED}/{path}"),
            ("GET", f"{_PROXIED}?path={path}"),
            ("PUT", f"{_PROXIED}/{path}"),
            ("DELETE", f"{_PROXIED}/{path}"),
        ):
            status, content = server.ask(method, address, b"evil" if method == "PUT" else None)
            assert SECRET not in content, (method, address)
            # On POSIX a backslash is a letter of a name like any other; a redirect is no answer.
            assert 400 <= status < 500 or "%5c" in path or status == 308, (status, method, address)
    assert (server.folder / "secret.txt").read_bytes() == SECRET
    evil = [
        one for one in server.folder.rglob("*") if one.is_file() and b"evil" in one.read_bytes()
    ]
    assert all(one.is_relative_to(server.folder / "served") for one in evil)
    status, content = server.ask("GET", "/get-artifact?path=mine.txt&run_uuid=RUN")
    assert (status, content) == (200, b"mine"), "else nothing was tested"


@pytest.mark.slow
def test_a_package_is_fetched_through_it_and_only_as_registered(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.port}")
    sha256 = log_package(tmp_path)
    out = fetch(ADDRESS, tmp_path / "out", tmp_path)
    check_manifest(out, sha256)
    (package,) = (one.parent for one in (server.folder / "served").rglob("MLmodel"))
    (package / "code" / "symbio" / "evil.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(SymbioError, match=r"code/symbio/evil\.py lies in its package and not in"):
        fetch(ADDRESS, tmp_path / "again", tmp_path)
    assert not (tmp_path / "again").exists()
