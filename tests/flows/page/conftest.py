"""A real Prefect server, started once, and this process's Prefect pointed at it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

_START_S = 90.0


class Server:
    """A Prefect server of its own folder and port."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        environment = {
            **{name: value for name, value in os.environ.items() if "PREFECT" not in name},
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        self._log = home / "server.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prefect", "server", "start", "--port", str(self.port)],
                cwd=home,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < until, self._log.read_text()[-4000:]
            assert self._process.poll() is None, self._log.read_text()[-4000:]
            time.sleep(0.2)

    def freeze(self) -> None:
        """Let it take connections and answer none."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    home = tmp_path_factory.mktemp("prefect")
    started = Server(home)
    try:
        with temporary_settings({PREFECT_API_URL: started.url, PREFECT_HOME: home}):
            yield started
    finally:
        started.close()


Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def until() -> Until:
    """Wait until something is so, at most 30 s."""

    def wait(is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 30.0
        while not is_so():
            assert time.monotonic() < end, "did not become so within 30 s"
            time.sleep(0.05)

    return wait


def artifacts(flow_run: UUID) -> list[Any]:
    """Those with a key: Prefect's own results have none."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with get_client({"timeout": 30.0}, sync_client=True) as client:
        found = client.read_artifacts(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
        )
    return [artifact for artifact in found if artifact.key]
