"""Flows search-nyu and search-kitti: better parameters, then a full training with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from prefect import flow
from pydantic import PositiveInt

from flows.forms import Described, Overrides, Preset, Ranks, StudyName, Workers
from flows.machines import Machines
from flows.pipeline_run import open_workspace, run_stages
from flows.started import checkout
from flows.study import BEST, Study, run_study
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
    study: StudyName = None,
    workers: Workers = None,
    ranks: Ranks = None,
    train_best: TrainBest = True,
) -> dict[str, Any]:
    """NYU-Depth-V2: a study over the space in params.yaml, then the best parameters in full."""
    asked = Study("search", "nyu", name=study, trials=trials, workers=workers)
    return _search(asked, preset, overrides, Machines(ranks), train_best)


@flow(name="search-kitti")
def search_kitti(
    preset: Preset = None,
    overrides: Overrides = None,
    trials: Trials = None,
    study: StudyName = None,
    workers: Workers = None,
    ranks: Ranks = None,
    train_best: TrainBest = True,
) -> dict[str, Any]:
    """KITTI: a study over the space in params.yaml, then the best parameters in full."""
    asked = Study("search", "kitti", name=study, trials=trials, workers=workers)
    return _search(asked, preset, overrides, Machines(ranks), train_best)


def _search(
    study: Study, preset: str | None, overrides: Overrides, machines: Machines, train_best: bool
) -> dict[str, Any]:
    root = open_workspace(study.dataset, preset, overrides or {})
    run_stages(root, study.dataset, ("prepare", "label"), machines)
    done = run_study(root, study, machines)
    best = Path(done["folder"]) / BEST
    told = {**done, "best": str(best)}
    return {**told, **_train_best(study.dataset, best, machines)} if train_best else told


def _train_best(dataset: str, best: Path, machines: Machines) -> dict[str, Any]:
    """The whole pipeline with the best params; the rules decide about the model as always."""
    values = yaml.safe_load((checkout() / best).read_text(encoding="utf-8"))
    return train(workspace_for(checkout(), parse_params(values, str(best))), dataset, machines)
