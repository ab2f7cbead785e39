"""`python -m infra.local`: started, killed, started again, stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.local.health import answer
from tests.platform.project import living, make_project, wait_for

pytestmark = pytest.mark.slow

_ANY_PORT = [f"--{name}-port=0" for name in ("prefect", "mlflow", "s3", "postgres")]


class _Platform:
    """The command as a process."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.output = project.parent / "output"
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "infra.local", "--root", str(project), *_ANY_PORT],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.environment: dict[str, str] = {}

    def wait(self) -> None:
        path = self.project / ".platform/environment"

        def up() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return path.exists()

        wait_for(up, 150.0, "the platform's start")
        lines = path.read_text().splitlines()
        pairs = [line.removeprefix("export ").split("=", 1) for line in lines]
        self.environment = {name: text.strip("'") for name, text in pairs}

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = make_project(tmp_path / "project")
    (project / "prefect.yaml").unlink()
    return project


def test_killed_started_again_and_stopped(project: Path) -> None:
    first = _Platform(project)
    second: _Platform | None = None
    try:
        first.wait()
        refused = subprocess.run(
            [sys.executable, "-m", "infra.local", "--root", str(project), *_ANY_PORT],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert refused.returncode == 2
        assert f"PID {first.process.pid}" in refused.stderr

        api = first.environment["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments"
        login = ("writer", first.environment["MLFLOW_TRACKING_PASSWORD"])
        assert answer(f"{api}/create", {"name": "kept"}) is None, "without a login"
        made = answer(f"{api}/create", {"name": "kept"}, login)
        family = first.family()
        assert len(family) > 10
        first.process.kill()
        first.process.wait()
        wait_for(lambda: not living(family), 5.0, "the end of what a killed platform started")

        (project / ".platform/environment").unlink()
        second = _Platform(project)
        second.wait()
        # The same keys: a shell or another machine that has them goes on.
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"):
            assert second.environment[name] == first.environment[name]
        api = second.environment["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments"
        kept = answer(f"{api}/get-by-name?experiment_name=kept", login=login)
        assert kept["experiment"]["experiment_id"] == made["experiment_id"]

        family = second.family()
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(45) == 0, second.output.read_text()
        assert not living(family)
        assert not list((project / ".platform").glob("environment*"))
    finally:
        for platform in filter(None, (first, second)):
            platform.process.kill()
            platform.process.wait()
