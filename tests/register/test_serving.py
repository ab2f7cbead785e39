"""A registered model behind `mlflow models serve`: what it answers, refuses and bears."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from symbio.params import Params
from symbio.predict.run import run as predict
from symbio.register.run import run as register
from symbio.tracking import tracking_uri
from tests.examined_once import examined_once
from tests.register.conftest import put_project

pytestmark = pytest.mark.slow

PICTURES = np.random.default_rng(5).integers(0, 256, (2, 30, 44, 3), np.uint8)
MAX_GROWTH_MIB = 24
"""Over 200 requests, after as many as it takes to have used every thread once."""


@dataclass(frozen=True)
class Server:
    project: Path
    address: str
    process: psutil.Process

    def post(self, body: bytes, kind: str = "application/json") -> tuple[int, str]:
        """Status and text of the answer."""
        request = urllib.request.Request(
            f"{self.address}/invocations", body, {"Content-Type": kind}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ask(self, inputs: Any) -> tuple[int, str]:
        return self.post(json.dumps({"inputs": inputs}).encode())

    def rss_mib(self) -> float:
        """Of the server and the processes below it."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 2**20


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Iterator[Path]:
    """A project with a registered model, and no tracking server as long as it is used."""
    root = put_project(tmp_path_factory.mktemp("served") / "a project")
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        patched.setattr("symbio.register.register.examine", examined_once)
        register(params, "nyu", root)
        yield root


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["models", "serve", "-m", "models:/symbio-nyu@candidate", "--env-manager", "local"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command, "--host", "127.0.0.1", "--port", str(port)],
        env=environment(project),
        cwd=project,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(f"{address}/ping", process)
        yield Server(project, address, psutil.Process(process.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def environment(project: Path) -> dict[str, str]:
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking_uri(project),
        # MLflow starts `uvicorn` by that name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def predicted(project: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Millimetres and classes of PICTURES, as `symbio predict` writes them."""
    folder = project / "pictures"
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(folder / f"{number}.png")
    predict(str(project / "models" / "nyu"), [folder], project / "predictions", root=project)
    return [
        tuple(
            np.asarray(Image.open(project / "predictions" / f"{number}_{what}.png"))
            for what in ("depth", "semantic")
        )
        for number in range(len(PICTURES))
    ]  # type: ignore[misc]


def require_predicted(project: Path, told: dict[str, Any]) -> None:
    """See that an answer is what `symbio predict` says."""
    for number, (millimetres, classes) in enumerate(predicted(project)):
        depth = np.array(told["depth"][number])
        assert np.array_equal(np.round(depth * 1000), millimetres)
        assert np.array_equal(told["semantic"][number], classes)


def test_it_answers_as_predict_does(server: Server) -> None:
    status, text = server.ask(PICTURES.tolist())
    assert status == 200
    require_predicted(server.project, json.loads(text)["predictions"])


def test_the_command_for_files_answers_as_predict_does(project: Path) -> None:
    (project / "in.json").write_text(json.dumps({"inputs": PICTURES.tolist()}))
    command = "mlflow models predict -m models:/symbio-nyu@candidate -i in.json -o out.json"
    subprocess.run(
        [*command.split(), "--env-manager", "local"],
        cwd=project,
        env=environment(project),
        check=True,
    )
    require_predicted(project, json.loads((project / "out.json").read_text())["predictions"])


def changed(value: Any) -> Any:
    """One picture, one of whose numbers is another value."""
    inputs = PICTURES[:1].tolist()
    inputs[0][3][4][1] = value
    return inputs


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (PICTURES[0].tolist(), "found shape (30, 44, 3)"),
        (np.zeros((1, 8, 8, 4), int).tolist(), "found shape (1, 8, 8, 4)"),
        ([], "found shape (0,)"),
        ([PICTURES[0].tolist(), PICTURES[1, :9].tolist()], "inhomogeneous shape"),
        (changed(300), "found values 0 to 300"),
        (changed(-1), "found values -1 to 255"),
        (changed(0.5), "found values of type float64"),
        (changed(float("nan")), "found values of type float64"),
        (changed("7"), "found values of type <U"),
        (changed(None), "found values of type object"),
        ("a picture", "found shape ()"),
        (None, "found shape ()"),
        ({"image": PICTURES[:1].tolist()}, "found a dict"),
        ([{"image": PICTURES[0].tolist()}], "found shape (1,)"),
    ],
)
def test_what_is_no_picture_is_refused(server: Server, inputs: Any, message: str) -> None:
    status, text = server.ask(inputs)
    told = json.loads(text)
    assert (status, message in told["message"]) == (400, True), text[:2000]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"inputs": [[[', "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[1, 2]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"pictures": 1}', "application/json", 400),
        (b'{"inputs": 1, "instances": 1}', "application/json", 400),
        (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "application/json", 400),
        (b"a,b\n1,2\n", "text/csv", 400),
        (b"\x89PNG\r\n\x1a\n", "image/png", 415),
        (b"\x89PNG\r\n\x1a\n", "application/octet-stream", 415),
    ],
)
def test_what_is_no_request_is_refused(server: Server, body: bytes, kind: str, status: int) -> None:
    found, text = server.post(body, kind)
    assert found == status, text
    assert text


def test_many_clients_are_served_and_no_memory_is_lost(server: Server) -> None:
    body = json.dumps({"inputs": PICTURES.tolist()}).encode()
    expected = server.post(body)
    with ThreadPoolExecutor(8) as clients:
        warm = set(clients.map(server.post, [body] * 80))
        before = server.rss_mib()
        answers = set(clients.map(server.post, [body] * 200))
        after = server.rss_mib()
    assert warm == answers == {expected}
    assert expected[0] == 200
    print(f"{before:.0f} MiB before, {after:.0f} MiB after")
    assert after - before < MAX_GROWTH_MIB


def _wait_until_up(address: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError("not up after 90 s")
