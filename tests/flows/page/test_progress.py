"""A running command's progress on the task's page, read back from a real server."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest

from flows.page.progress import shown_progress
from tests.flows.page.conftest import Server, Until, artifacts


def tell(folder: Path, what: str, done: int, total: int | None, at: float) -> None:
    """What a command leaves in its folder, at a time of our choice."""
    values = {"what": what, "done": done, "total": total, "time": at}
    (folder / ".aside").write_text(json.dumps(values))
    (folder / ".aside").rename(folder / "progress.json")


def run_ids() -> tuple[UUID, UUID]:
    from prefect.context import FlowRunContext, TaskRunContext

    flow_run, task_run = FlowRunContext.get(), TaskRunContext.get()
    assert flow_run is not None
    assert flow_run.flow_run is not None
    assert task_run is not None
    return flow_run.flow_run.id, task_run.task_run.id


@pytest.mark.slow
def test_the_page_follows_the_command(server: Server, tmp_path: Path, until: Until) -> None:
    from prefect import flow, task

    seen: list[tuple[float, str]] = []

    def now() -> tuple[float, str] | None:
        found = artifacts(run_ids()[0])
        return (float(found[0].data), found[0].description) if found else None

    @task
    def train() -> tuple[UUID, UUID]:
        with shown_progress(tmp_path, "train@nyu", 0.05):
            tell(tmp_path, "train nyu", 10, 100, 1000.0)
            until(lambda: now() == (10.0, "train nyu: 10 of 100"))
            # Two seconds a step: 140 s are left.
            tell(tmp_path, "train nyu", 30, 100, 1040.0)
            until(lambda: now() == (30.0, "train nyu: 30 of 100, 2 min left"))
            tell(tmp_path, "export", 1, 4, 1050.0)
            until(lambda: now() == (25.0, "export: 1 of 4"))
            tell(tmp_path, "pictures", 7, None, 1060.0)
            until(lambda: now() == (0.0, "pictures: 7"))
            tell(tmp_path, "nothing", 0, 0, 1070.0)
            until(lambda: now() == (100.0, "nothing: 0 of 0"))
        done = now()
        assert done is not None
        seen.append(done)
        return run_ids()

    @flow
    def training() -> tuple[UUID, UUID]:
        return train()

    flow_run, task_run = training()
    assert seen == [(100.0, "train@nyu: done")]
    [artifact] = artifacts(flow_run)
    assert (artifact.key, artifact.type) == ("train-nyu-progress", "progress")
    assert artifact.task_run_id == task_run


@pytest.mark.slow
def test_a_failure_keeps_how_far_it_came(server: Server, tmp_path: Path) -> None:
    from prefect import flow, task

    runs: list[UUID] = []

    @task
    def train() -> None:
        runs.append(run_ids()[0])
        with shown_progress(tmp_path, "train@nyu", 60.0):
            tell(tmp_path, "train nyu", 30, 100, 1000.0)
            raise ValueError("broken frame")

    @task
    def silent() -> None:
        with shown_progress(tmp_path / "elsewhere", "register@nyu", 0.05):
            time.sleep(0.3)

    @flow
    def training() -> None:
        silent()
        train()

    with pytest.raises(ValueError, match="broken frame"):
        training()
    [artifact] = artifacts(runs[0])
    assert float(artifact.data) == 30.0
    assert artifact.description == "train@nyu: ended at train nyu: 30 of 100"


@pytest.mark.slow
def test_a_server_that_does_not_answer_holds_nothing_up(
    server: Server, tmp_path: Path, until: Until
) -> None:
    from prefect import flow, task

    @task
    def train() -> tuple[UUID, float]:
        with shown_progress(tmp_path, "train@nyu", 0.05):
            tell(tmp_path, "train nyu", 10, 100, 1000.0)
            until(lambda: bool(artifacts(run_ids()[0])))
            server.freeze()
            tell(tmp_path, "train nyu", 20, 100, 1010.0)
            time.sleep(0.5)
            began = time.monotonic()
        took = time.monotonic() - began
        server.thaw()
        return run_ids()[0], took

    @flow
    def training() -> tuple[UUID, float]:
        result = train()
        # Nobody waited for it, yet it comes.
        until(lambda: float(artifacts(result[0])[0].data) == 100.0)
        return result

    try:
        _, took = training()
    finally:
        server.thaw()
    assert took < 1.5


def test_outside_a_run_there_is_nothing_to_show(tmp_path: Path) -> None:
    threads = threading.active_count()
    with shown_progress(tmp_path, "train@nyu", 0.01):
        tell(tmp_path, "train nyu", 10, 100, 1000.0)
        assert threading.active_count() == threads
