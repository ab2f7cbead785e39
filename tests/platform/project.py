"""A project with two small flows, and asking a platform about them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from infra.local.health import answer

_FLOWS = """
from prefect import flow

@flow
def measure(value: float) -> None:
    import mlflow

    with mlflow.start_run():
        mlflow.log_metric("value", value)
        mlflow.log_text("forty-two", "note.txt")

@flow
def linger() -> None:
    import time

    time.sleep(300)

@flow
def stumble() -> None:
    raise ValueError("it \\"stumbled\\"")
"""

_DEPLOYMENTS = """
name: tiny
places:
  local: &local {name: local, job_variables: {stream_output: false}}
pull:
  - prefect.deployments.steps.set_working_directory:
      directory: "{{ $SYMBIO_HOME }}"
deployments:
  - {name: local, entrypoint: "flows.py:measure", tags: [symbio], work_pool: *local}
  - {name: local, entrypoint: "flows.py:stumble", tags: [symbio], work_pool: *local}
  - {name: local, entrypoint: "flows.py:linger", work_pool: *local}
"""

_ENDS = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def make_project(folder: Path) -> Path:
    """Write the project; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flows.py").write_text(_FLOWS)
    (folder / "prefect.yaml").write_text(_DEPLOYMENTS)
    return folder


def start_run(api: str, flow: str, **parameters: Any) -> str:
    """Ask Prefect for a run of a deployed flow; returns the run's id."""
    deployment = answer(f"{api}/deployments/name/{flow}/local")
    run = answer(
        f"{api}/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters}
    )
    return str(run["id"])


def end_of_run(api: str, run: str, limit_s: float = 60.0) -> dict[str, Any]:
    """Wait for a flow run's end; returns its state."""
    state: dict[str, Any] = {}

    def ended() -> bool:
        state.update((answer(f"{api}/flow_runs/{run}") or {}).get("state") or {})
        return state.get("type") in _ENDS

    wait_for(ended, limit_s, f"the flow run's end (now {state})")
    return state


def wait_for(happened: Callable[[], bool], limit_s: float, what: str) -> None:
    """Wait until something is so; AssertionError if it is not in time."""
    until = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < until, f"{what}: not within {limit_s} s"
        time.sleep(0.2)


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found
