"""A whole platform for a small project, and what tests ask it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra.local.stack import Ports, Stack
from symbio.ranks.heartbeat import filesystem_now
from symbio.status.state import state_of
from tests.project import make_project

STEPS = 120
SMALL: dict[str, dict[str, Any]] = {
    "nyu": {"image_size": [64, 96]},
    "kitti": {"image_size": [64, 128]},
    "train": {"steps": STEPS, "checkpoint_every": 10, "validate_every": 100},
}
"""Trainings of about twenty seconds: long enough to be hurt."""


@contextlib.contextmanager
def running_platform(folder: Path) -> Iterator[Platform]:
    """A committed project and everything that `make platform` starts."""
    project = make_project(folder / "project")
    values = yaml.safe_load((project / "params.yaml").read_text())
    for section, changes in SMALL.items():
        values[section].update(changes)
    (project / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, "commit", "-qam", "params"], cwd=project, check=True)
    with Stack(root=project, state=project / ".platform", ports=Ports.free()) as stack:
        yield Platform(project, stack)


_WORK = ("-m flows.", "-m symbio", "-m dvc", "bin/symbio", "bin/dvc", "prefect.engine")


class Platform:
    """The project, its servers, and its flow runs."""

    def __init__(self, project: Path, stack: Stack) -> None:
        self.project = project
        self.stack = stack
        self.services = stack.services

    def command(self, *command: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a program as a user does who has sourced .platform/environment."""
        programs = str(Path(sys.executable).parent)
        environment = {**os.environ, **self.stack.environment(), "PYTHONPATH": str(self.project)}
        environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command, cwd=self.project, env=environment, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def run(self, deployment: str, *options: str) -> str:
        """`prefect deployment run`; the id of the flow run."""
        told = self.command("prefect", "deployment", "run", deployment, *options)
        found = re.search(r"flow-run/([0-9a-f-]{36})", told.stdout)
        assert found, told.stdout + told.stderr
        return found[1]

    def ask(self, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """Prefect's answer to a GET, or with `data` to a POST."""
        url = f"{self.stack.environment()['PREFECT_API_URL']}{path}"
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def state(self, run: str) -> dict[str, Any]:
        """State of a flow run: name, type, message."""
        found: dict[str, Any] = self.ask(f"/flow_runs/{run}")["state"]
        return found

    def tasks(self, run: str) -> dict[str, str]:
        """Task run name -> name of its state."""
        wanted = {"flow_runs": {"id": {"any_": [run]}}}
        found = self.ask("/task_runs/filter", wanted)
        return {one["name"]: one["state"]["name"] for one in found}

    def log(self, run: str) -> str:
        """Everything that a flow run has logged."""
        wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        text, offset = "", 0
        while page := self.ask("/logs/filter", {**wanted, "offset": offset}):
            text += "\n".join(line["message"] for line in page) + "\n"
            offset += len(page)
        return text

    def wait_for(self, run: str, *names: str, seconds: float = 240.0) -> dict[str, Any]:
        """Wait until a flow run is in one of these states; its state."""

        def reached() -> dict[str, Any] | None:
            state = self.state(run)
            return state if state["name"] in names else None

        return until(reached, seconds, lambda: f"{self.state(run)}\n{self.log(run)[-4000:]}")

    def wait_for_step(self, step: int, seconds: float = 120.0) -> int:
        """Wait until NYU's training has done `step` steps; returns how many it has done."""
        return until(lambda: (self.step() or 0) >= step and self.step(), seconds, self.processes)

    def step(self) -> int | None:
        """Steps done by NYU's training that is under way."""
        run = self.project / "checkpoints" / "nyu"
        state = state_of(run, filesystem_now(run.parent)) if run.is_dir() else None
        return state.step if state is not None and state.name in ("running", "slow") else None

    def processes(self) -> list[psutil.Process]:
        """Flows and everything that they have started: what works in the project's folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                folder = Path(process.cwd())
                ours = folder.is_relative_to(self.project)
                command = " ".join(process.cmdline())
                works = any(word in command for word in _WORK)
                if ours and works and not folder.is_relative_to(self.stack.state):
                    found.append(process)
        return found

    def process(self, words: str) -> psutil.Process:
        """The one flow, guard or stage whose command line holds `words`."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if words in " ".join(process.cmdline()):
                    return process
        raise AssertionError(f"no process {words!r}")

    def nothing_left(self, seconds: float = 30.0) -> None:
        """Wait until no flow's process is left."""
        until(lambda: not self.processes(), seconds, self.processes)

    def journal(self) -> list[dict[str, Any]]:
        """Lines of the training's own journal."""
        path = self.project / "checkpoints" / "nyu" / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


def until(condition: Callable[[], Any], seconds: float, why: Callable[[], Any]) -> Any:
    """Wait until the condition holds; its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {why()}"
        time.sleep(0.3)
