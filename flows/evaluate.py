"""Flow evaluate: score a registered model on a data set, by any protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import StringConstraints

from flows.forms import Dataset, Described
from flows.machines import Machines
from flows.pipeline_run import open_workspace, run_stages
from flows.stage import run_verb

Model = Annotated[
    Annotated[str, StringConstraints(pattern=r"^models:/")] | None,
    Described("models:/NAME/VERSION or models:/NAME@ALIAS; none: the data set's champion."),
]
Protocol = Annotated[
    str | None, Described("A protocol of docs/protocols.md; none: the one in params.yaml.")
]
Split = Annotated[Literal["test", "val", "train"], Described("Which frames.")]


@flow(name="evaluate")
def evaluate(
    dataset: Dataset, model: Model = None, protocol: Protocol = None, split: Split = "test"
) -> dict[str, Any]:
    """Score a registered model on a data set; the scores are a run of their own in MLflow."""
    root = open_workspace(dataset, None, {})
    stages = run_stages(root, dataset, ("prepare", "label"), Machines())
    chosen = model or f"models:/symbio-{dataset}@champion"
    command = ["symbio", "evaluate", dataset, "--model", chosen, "--split", split]
    if protocol is not None:
        command += ["--protocol", protocol]
    told = run_verb(root, f"evaluate-model@{dataset}", command)
    return {"model": chosen, "stages": stages, "told": told}
