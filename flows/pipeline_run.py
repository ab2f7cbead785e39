"""Running stages one after the other, as every flow does that makes or uses data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import get_run_logger

from flows import data
from flows.machines import Machines
from flows.pipeline import STAGES, rendered
from flows.stage import run_stage
from flows.started import begin, checkout
from flows.workspace import wanted_params, workspace_for
from symbio.params import load_params


def open_workspace(dataset: str, preset: str | None, overrides: Mapping[str, Any]) -> Path:
    """The folder to work in; the run is tagged, and what it will need can be reached.

    Raises:
        SymbioError: the parameters do not hold.
    """
    root = checkout()
    params = wanted_params(root, preset, overrides)
    folder = workspace_for(root, params)
    if folder != root:
        get_run_logger().info(f"works in {folder.relative_to(root)}: params.yaml says otherwise")
    begin(dataset, folder)
    data.check_reach(folder)
    return folder


def run_stages(
    root: Path, dataset: str, verbs: Sequence[str], machines: Machines
) -> list[dict[str, Any]]:
    """Run the stages `verbs` of a data set in order; rendered raw files are rendered first.

    Returns:
        One result a stage (`flows.stage.run_stage`).
    """
    wanted = [verb for verb in STAGES if verb in verbs]
    if rendered(load_params(root / "params.yaml"), dataset):
        wanted = ["sample", *[verb for verb in wanted if verb != "sample"]]
    stages = [f"{verb}@{dataset}" for verb in wanted]
    data.pull(root, stages)
    results = [run_stage(root, stage, machines) for stage in stages]
    if any(result["outcome"] == "ran" for result in results):
        data.push(root, stages)
    return results
