"""Flows train-nyu, train-kitti, train-custom: from raw files to a registered model.

The version becomes champion if the rules of promotion hold.

python -m flows.train nyu        # without any server
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    from flows.started import without_server

    without_server(Path.cwd())

from prefect import flow

from flows.forms import Dataset, Hosts, Overrides, Preset, Ranks, parsed
from flows.machines import Machines
from flows.page.summary import write_summary
from flows.pipeline_run import open_workspace, run_stages
from flows.registered import ensure_registered, promote

_VERBS = ("prepare", "label", "train", "evaluate", "register")


@flow(name="train-nyu")
def train_nyu(
    preset: Preset = None, overrides: Overrides = None, ranks: Ranks = None, hosts: Hosts = None
) -> dict[str, Any]:
    """NYU-Depth-V2: prepare, label, train, evaluate, register, promote if the rules hold."""
    root = open_workspace("nyu", preset, overrides or {})
    return train(root, "nyu", Machines(ranks, tuple(hosts or ())))


@flow(name="train-kitti")
def train_kitti(
    preset: Preset = None, overrides: Overrides = None, ranks: Ranks = None, hosts: Hosts = None
) -> dict[str, Any]:
    """KITTI: prepare, label, train, evaluate, register, promote if the rules hold."""
    root = open_workspace("kitti", preset, overrides or {})
    return train(root, "kitti", Machines(ranks, tuple(hosts or ())))


@flow(name="train-custom")
def train_custom(
    dataset: Dataset,
    preset: Preset = None,
    overrides: Overrides = None,
    ranks: Ranks = None,
    hosts: Hosts = None,
) -> dict[str, Any]:
    """A data set of one's own: the same, for a key of the section custom of params.yaml."""
    root = open_workspace(dataset, preset, overrides or {})
    return train(root, dataset, Machines(ranks, tuple(hosts or ())))


def train(root: Path, dataset: str, machines: Machines) -> dict[str, Any]:
    """The whole pipeline in an opened workspace; part of a flow run.

    Returns:
        model (models:/... address), metrics, stages.
    """
    results = run_stages(root, dataset, _VERBS, machines)
    version = ensure_registered(root, dataset)
    verdict = promote(root, dataset, version["uri"])
    write_summary(root, dataset, results, verdict)
    return {"model": version["uri"], "metrics": version["metrics"], "stages": results}


if __name__ == "__main__":
    chosen = parsed(__doc__, sys.argv[1:])
    flows = {"nyu": train_nyu, "kitti": train_kitti}
    named = flows.get(chosen["dataset"])
    if named is None:
        train_custom(**chosen)
    else:
        named(**{key: value for key, value in chosen.items() if key != "dataset"})
