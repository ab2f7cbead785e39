"""Tags of runs, read back from a real server, and the preset's name."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from flows.page.tags import preset_name, tag_this_run
from symbio.presets import PRESETS, write_preset
from tests.flows.page.conftest import Server


def tags_of(flow_run: UUID) -> set[str]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return set(client.read_flow_run(flow_run).tags)


@pytest.mark.slow
def test_a_run_keeps_its_tags_and_gets_ours(server: Server) -> None:
    from prefect import flow, tags
    from prefect.context import FlowRunContext

    @flow
    def training() -> UUID:
        tag_this_run("nyu", "sample", "abc1234")
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        return context.flow_run.id

    with tags("night"):
        flow_run = training()
    ours = {"symbio", "dataset:nyu", "preset:sample", "commit:abc1234"}
    assert tags_of(flow_run) == {"night", *ours}


@pytest.mark.slow
def test_tags_are_no_reason_to_fail(server: Server) -> None:
    from prefect import flow
    from prefect.settings import PREFECT_API_URL, temporary_settings

    @flow
    def training() -> float:
        began = time.monotonic()
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
            tag_this_run("nyu", "sample", "abc1234")
        return time.monotonic() - began

    assert training() < 5.0


def test_without_a_flow_nothing_is_tagged() -> None:
    tag_this_run("nyu", "sample", "abc1234")


@pytest.mark.parametrize("name", [path.stem for path in PRESETS.glob("*.yaml")])
def test_a_preset_is_known_by_its_values(tmp_path: Path, name: str) -> None:
    params = tmp_path / "params.yaml"
    write_preset(name, params)
    assert preset_name(tmp_path) == name
    values = yaml.safe_load(params.read_text())
    params.write_text(yaml.safe_dump(values))
    assert preset_name(tmp_path) == name
    values["train"]["steps"] += 1
    params.write_text(yaml.safe_dump(values))
    assert preset_name(tmp_path) == "own"


def test_broken_params_are_no_preset(tmp_path: Path) -> None:
    assert preset_name(tmp_path) == "own"
    (tmp_path / "params.yaml").write_text("seed: [")
    assert preset_name(tmp_path) == "own"
