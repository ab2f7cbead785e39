"""`prefect deployment run train-nyu` means train-nyu/local; nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.bare_name import completed

ROOT = Path(__file__).parents[2]
HERE = ROOT / "prefect.yaml"


@pytest.mark.parametrize(
    "name",
    ["train-nyu", "train-kitti", "label", "evaluate", "search-nyu", "ablate-kitti",
     "retrain-on-new-data"],
)  # fmt: skip
def test_a_bare_flow_name_gets_the_default_place(name: str) -> None:
    command = ["prefect", "deployment", "run", name, "--watch"]
    assert completed(command, HERE) == ["prefect", "deployment", "run", f"{name}/local", "--watch"]


@pytest.mark.parametrize(
    "command",
    [
        ["prefect", "deployment", "run", "train-nyu/slurm"],
        ["prefect", "deployment", "run", "somebody-elses"],
        ["prefect", "deployment", "inspect", "train-nyu"],
        ["prefect", "flow-run", "ls"],
        ["prefect"],
    ],
)
def test_anything_else_is_left_alone(command: list[str]) -> None:
    assert completed(command, HERE) == command


@pytest.mark.parametrize("text", [None, "", "deployments: 3", "{", "deployments: [{name: local}]"])
def test_no_project_or_a_garbled_one_changes_nothing(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "prefect.yaml"
    if text is not None:
        file.write_text(text)
    command = ["prefect", "deployment", "run", "train-nyu"]
    assert completed(command, file) == command


def test_every_flow_is_deployed_to_every_place() -> None:
    deployed = yaml.safe_load(HERE.read_text())["deployments"]
    found = {(one["entrypoint"], one["name"]) for one in deployed}
    flows = {entrypoint for entrypoint, _ in found}
    places = {"local", "cluster", "slurm", "kubernetes"}
    assert found == {(flow, place) for flow in flows for place in places}
    assert all(one["work_pool"]["name"] == one["name"] for one in deployed)
