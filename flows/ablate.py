"""Flows ablate-nyu and ablate-kitti: named variants, several seeds each, one table."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow

from flows.forms import Described, Overrides, Preset, Ranks
from flows.machines import Machines
from flows.pipeline_run import open_workspace, run_stages
from flows.stage import run_verb

Suite = Annotated[str, Described("A suite of `ablations` in params.yaml, e.g. symbiosis.")]


@flow(name="ablate-nyu")
def ablate_nyu(
    suite: Suite, preset: Preset = None, overrides: Overrides = None, ranks: Ranks = None
) -> dict[str, Any]:
    """NYU-Depth-V2: train every variant of a suite with every seed, and compare."""
    return _ablate("nyu", suite, preset, overrides, Machines(ranks))


@flow(name="ablate-kitti")
def ablate_kitti(
    suite: Suite, preset: Preset = None, overrides: Overrides = None, ranks: Ranks = None
) -> dict[str, Any]:
    """KITTI: train every variant of a suite with every seed, and compare."""
    return _ablate("kitti", suite, preset, overrides, Machines(ranks))


def _ablate(
    dataset: str, suite: str, preset: str | None, overrides: Overrides, machines: Machines
) -> dict[str, Any]:
    root = open_workspace(dataset, preset, overrides or {})
    run_stages(root, dataset, ("prepare", "label"), machines)
    command = ["symbio", "ablate", dataset, suite]
    return {"told": run_verb(root, f"ablate@{dataset}", command, machines)}
