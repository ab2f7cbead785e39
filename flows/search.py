"""Flows search-nyu and search-kitti: better parameters, then a full training with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from prefect import flow
from pydantic import PositiveInt

from flows.forms import Described, Overrides, Preset, Ranks
from flows.machines import Machines
from flows.pipeline_run import open_workspace, run_stages
from flows.stage import run_verb
from flows.started import checkout
from flows.train import train
from flows.workspace import workspace_for
from symbio.params import parse_params

Trials = Annotated[
    PositiveInt | None, Described("Number of trials; none: search.trials of params.yaml.")
]
TrainBest = Annotated[bool, Described("Whether to train with the best parameters in full.")]


@flow(name="search-nyu")
def search_nyu(
    preset: Preset = None,
    overrides: Overrides = None,
    trials: Trials = None,
    ranks: Ranks = None,
    train_best: TrainBest = True,
) -> dict[str, Any]:
    """NYU-Depth-V2: a study over the space in params.yaml, then the best parameters in full."""
    return _search("nyu", preset, overrides, trials, Machines(ranks), train_best)


@flow(name="search-kitti")
def search_kitti(
    preset: Preset = None,
    overrides: Overrides = None,
    trials: Trials = None,
    ranks: Ranks = None,
    train_best: TrainBest = True,
) -> dict[str, Any]:
    """KITTI: a study over the space in params.yaml, then the best parameters in full."""
    return _search("kitti", preset, overrides, trials, Machines(ranks), train_best)


def _search(
    dataset: str,
    preset: str | None,
    overrides: Overrides,
    trials: int | None,
    machines: Machines,
    train_best: bool,
) -> dict[str, Any]:
    root = open_workspace(dataset, preset, overrides or {})
    run_stages(root, dataset, ("prepare", "label"), machines)
    command = ["symbio", "search", dataset]
    if trials is not None:
        command += ["--trials", str(trials)]
    told = run_verb(root, f"search@{dataset}", command, machines)
    best = root / "searches" / dataset / "best-params.yaml"
    if not train_best:
        return {"best": str(best.relative_to(root)), "told": told}
    return {"best": str(best.relative_to(root)), **_train_best(dataset, best, machines)}


def _train_best(dataset: str, best: Path, machines: Machines) -> dict[str, Any]:
    params = parse_params(yaml.safe_load(best.read_text(encoding="utf-8")), str(best))
    return train(workspace_for(checkout(), params), dataset, machines)
