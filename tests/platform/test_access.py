"""Who may do what on a real MLflow server with logins; its accounts and runs in SQLite."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.ports import free_ports
from infra.tracking.access import only_reads
from symbio.errors import SymbioError
from symbio.params import load_params
from symbio.predict.source import open_model
from symbio.promote.run import run as promote
from symbio.register.run import run as register
from symbio.tracking import open_store
from tests.embedded_store import put_store
from tests.platform.project import wait_for
from tests.promote.conftest import FRAMES, write_scores
from tests.tiny_model import put_model

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {"admin": "a-p@ss:word-1", "writer": "the-pen-is-mighty", "reader": "only-looking-on"}


@dataclass(frozen=True)
class Server:
    """A server, and what it holds when a test begins."""

    url: str
    project: Path
    experiment: str = ""
    run: str = ""

    def status(
        self, method: str, path: str, body: Any = None, login: tuple[str, str] | None = None
    ) -> int:
        """HTTP status of an answer."""
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        if login is not None:
            told = base64.b64encode(":".join(login).encode()).decode()
            request.add_header("Authorization", f"Basic {told}")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def log_in(self, patch: pytest.MonkeyPatch, name: str, password: str | None = None) -> None:
        """Let this process be an account."""
        patch.setenv("MLFLOW_TRACKING_URI", self.url)
        patch.setenv("MLFLOW_TRACKING_USERNAME", name)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", password or PASSWORDS[name])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With one registered version, which the writer made the champion."""
    folder = tmp_path_factory.mktemp("access")
    put_store(folder)
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "infra.tracking", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--no-serve-artifacts", "--uvicorn-opts", "--log-level=warning"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlruns/mlflow.db"]
    command += ["--default-artifact-root", str(folder / "artifacts")]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SYMBIO_MLFLOW_ACCOUNTS": f"sqlite:///{folder}/accounts.db",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORDS["admin"],
        "SYMBIO_MLFLOW_WRITER_PASSWORD": PASSWORDS["writer"],
        "SYMBIO_MLFLOW_READER_PASSWORD": PASSWORDS["reader"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "signs forms",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    # The accounts are there already, with other passwords.
    earlier = {name: f"{text}, once" for name, text in environment.items() if "_PASSWORD" in name}
    made_before = [sys.executable, "-m", "infra.tracking", "--help"]
    subprocess.run(
        made_before, env=environment | earlier, cwd=folder, check=True, timeout=120,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    made = Server(f"http://127.0.0.1:{port}", folder)
    try:

        def up() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return made.status("GET", "/health") == 200
            except OSError:
                return False

        wait_for(up, 120.0, "MLflow's start")
        with pytest.MonkeyPatch.context() as patch:
            made.log_in(patch, "writer")
            yield _filled(made)
        for password in PASSWORDS.values():
            assert password not in (folder / "log").read_text()
    finally:
        process.terminate()
        process.wait(30)


def _filled(server: Server) -> Server:
    params = load_params(ROOT / "symbio" / "presets" / "sample.yaml")
    put_model(server.project / "models" / "nyu")
    write_scores(server.project, FRAMES)
    version = register(params, "nyu", server.project)
    assert promote(params, "nyu", server.project)["verdict"] == "promoted"
    found = open_store(server.project).get_run(version["run_id"])
    return Server(server.url, server.project, found.info.experiment_id, version["run_id"])


API = "/api/2.0/mlflow"


@pytest.mark.slow
def test_nobody_gets_in_without_a_login(server: Server) -> None:
    wrong = ["", "wrong", f"{PASSWORDS['reader']}, once"]
    logins = [None, ("nobody", PASSWORDS["reader"]), *(("reader", text) for text in wrong)]
    for login in logins:
        for method, path in (
            ("GET", f"{API}/runs/get?run_id={server.run}"),
            ("GET", f"/get-artifact?path=x&run_uuid={server.run}"),
            ("POST", f"{API}/experiments/create"),
            ("GET", "/"),
        ):
            body = None if method == "GET" else {"name": "theirs"}
            assert server.status(method, path, body, login) == 401, (login, path)
    assert server.status("GET", "/health") == 200


@pytest.mark.slow
def test_a_reader_sees_everything_and_changes_nothing(server: Server) -> None:
    reader = ("reader", PASSWORDS["reader"])
    for method, path, body in (
        ("GET", f"{API}/runs/get?run_id={server.run}", None),
        ("POST", f"{API}/runs/search", {"experiment_ids": [server.experiment]}),
        ("POST", f"{API}/experiments/search", {"max_results": 5}),
        ("POST", f"{API}/logged-models/search", {"experiment_ids": [server.experiment]}),
        ("GET", f"{API}/registered-models/get?name=symbio-nyu", None),
        ("GET", f"{API}/artifacts/list?run_id={server.run}", None),
        ("GET", "/", None),
    ):
        assert server.status(method, path, body, reader) == 200, path
    run, model = {"run_id": server.run}, {"name": "symbio-nyu"}
    for method, path, body in (
        ("POST", "experiments/create", {"name": "theirs"}),
        ("POST", "experiments/delete", {"experiment_id": server.experiment}),
        ("POST", "runs/create", {"experiment_id": server.experiment}),
        ("POST", "runs/create", {"experiment_id": "0"}),
        ("POST", "runs/log-metric", {**run, "key": "a", "value": 1, "timestamp": 1}),
        ("POST", "runs/set-tag", {**run, "key": "a", "value": "b"}),
        ("POST", "runs/delete", run),
        ("POST", "registered-models/create", {"name": "theirs"}),
        ("POST", "registered-models/set-tag", {**model, "key": "a", "value": "b"}),
        ("POST", "registered-models/alias", {**model, "alias": "champion", "version": "1"}),
        ("DELETE", "registered-models/delete", model),
        ("POST", "model-versions/create", {**model, "source": f"runs:/{server.run}/x"}),
        ("POST", "logged-models", {"experiment_id": server.experiment, "name": "theirs"}),
        ("POST", "users/create", {"username": "more", "password": "long enough for it"}),
        ("PATCH", "users/update-password", {"username": "reader", "password": "another one..."}),
        ("PATCH", "users/update-admin", {"username": "reader", "is_admin": True}),
        ("POST", "webhooks", {"name": "w", "url": "https://example.org", "events": []}),
    ):
        for api in (API, "/ajax-api/2.0/mlflow"):
            assert server.status(method, f"{api}/{path}", body, reader) == 403, path
    traces = server.status("POST", "/v1/traces", {}, reader)
    assert traces == 403


@pytest.mark.slow
def test_only_the_administrator_makes_accounts(server: Server) -> None:
    account = {"username": "anna", "password": "long enough for it"}
    for name, expected in (("writer", 403), ("admin", 200)):
        login = (name, PASSWORDS[name])
        assert server.status("POST", f"{API}/users/create", account, login) == expected
    # An account that nobody gave a role reads, as the reader does.
    anna = (account["username"], account["password"])
    assert server.status("GET", f"{API}/runs/get?run_id={server.run}", None, anna) == 200
    assert server.status("POST", f"{API}/experiments/create", {"name": "hers"}, anna) == 403


@pytest.mark.slow
def test_our_verbs_as_a_reader(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.log_in(monkeypatch, "reader")
    network, card = open_model("models:/symbio-nyu@champion", server.project, "cpu")
    assert card["dataset"] == "nyu"
    assert sum(one.numel() for one in network.parameters()) > 0
    params = load_params(ROOT / "symbio" / "presets" / "sample.yaml")
    with pytest.raises(SymbioError, match="may read here and change nothing") as refused:
        register(params, "nyu", server.project)
    assert refused.value.exit_code == 2


@pytest.mark.slow
def test_a_wrong_password_is_a_mistake(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.log_in(monkeypatch, "reader", "not-the-password")
    with pytest.raises(SymbioError, match="401") as refused:
        open_model("models:/symbio-nyu@champion", server.project, "cpu")
    assert refused.value.exit_code == 2
    assert "not-the-password" not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", "/anything", True),
        ("POST", "/api/2.0/mlflow/runs/search", True),
        ("POST", "/ajax-api/3.0/mlflow/traces/search", True),
        ("POST", "/graphql", True),
        ("POST", "/api/2.0/mlflow/runs/search/x", False),
        ("POST", "/x/api/2.0/mlflow/runs/search", False),
        ("POST", "/api/2.0/mlflow/runs/create", False),
        ("DELETE", "/api/2.0/mlflow/runs/search", False),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/x", False),
        ("POST", "/v1/traces", False),
    ],
)
def test_what_only_reads_is_listed(method: str, path: str, reads: bool) -> None:
    assert only_reads(method, path) is reads
