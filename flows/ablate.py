"""Flows ablate-nyu and ablate-kitti: named variants, several seeds each, one table."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow

from flows.forms import Described, Overrides, Preset, Ranks, StudyName, Workers
from flows.machines import Machines
from flows.pipeline_run import open_workspace, run_stages
from flows.study import Study, run_study

Suite = Annotated[str, Described("A suite of `ablations` in params.yaml, e.g. symbiosis.")]


@flow(name="ablate-nyu")
def ablate_nyu(
    suite: Suite,
    preset: Preset = None,
    overrides: Overrides = None,
    study: StudyName = None,
    workers: Workers = None,
    ranks: Ranks = None,
) -> dict[str, Any]:
    """NYU-Depth-V2: train every variant of a suite with every seed, and compare."""
    asked = Study("ablate", "nyu", suite, study, workers=workers)
    return _ablate(asked, preset, overrides, Machines(ranks))


@flow(name="ablate-kitti")
def ablate_kitti(
    suite: Suite,
    preset: Preset = None,
    overrides: Overrides = None,
    study: StudyName = None,
    workers: Workers = None,
    ranks: Ranks = None,
) -> dict[str, Any]:
    """KITTI: train every variant of a suite with every seed, and compare."""
    asked = Study("ablate", "kitti", suite, study, workers=workers)
    return _ablate(asked, preset, overrides, Machines(ranks))


def _ablate(
    study: Study, preset: str | None, overrides: Overrides, machines: Machines
) -> dict[str, Any]:
    root = open_workspace(study.dataset, preset, overrides or {})
    run_stages(root, study.dataset, ("prepare", "label"), machines)
    return run_study(root, study, machines)
