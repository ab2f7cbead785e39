"""Flow retrain-on-new-data: where raw data has changed at its source, the pipeline runs again.

The source is what `dvc import-url URL data/raw/nyu` (or `dvc import`) recorded in
data/raw/nyu.dvc; docs/flows.md shows it. The deployment carries a schedule, switched off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from prefect import flow, get_run_logger

from flows.data import push
from flows.forms import Dataset, Ranks
from flows.machines import Machines
from flows.pipeline_run import open_workspace
from flows.stage import run_verb
from flows.train import train
from symbio.errors import SymbioError
from symbio.params import load_params


@flow(name="retrain-on-new-data")
def retrain_on_new_data(dataset: Dataset, ranks: Ranks = None) -> dict[str, Any]:
    """Ask the source of the raw data; if it has changed, fetch it and run the whole pipeline."""
    root = open_workspace(dataset, None, {})
    tracked = _tracked(root, dataset)
    before = _hash(tracked)
    run_verb(root, f"update@{dataset}", ["dvc", "update", str(tracked.relative_to(root))])
    after = _hash(tracked)
    if before == after:
        get_run_logger().info(f"{tracked.name}: nothing new at the source ({after})")
        return {"changed": False, "data": after}
    get_run_logger().info(f"{tracked.name}: {before} became {after}; the pipeline runs")
    push(root, [str(tracked.relative_to(root))])
    return {"changed": True, "data": after, **train(root, dataset, Machines(ranks))}


def _tracked(root: Path, dataset: str) -> Path:
    """The .dvc file of the raw data."""
    raw = load_params(root / "params.yaml").dataset(dataset).raw
    tracked = root / f"{raw}.dvc"
    if not tracked.is_file():
        raise SymbioError(
            f"{tracked}: no such file, so where {raw} comes from is not known; import it with "
            f"`dvc import-url URL {raw}` and name it in params.yaml as {dataset}.raw"
        )
    return tracked


def _hash(tracked: Path) -> str:
    outputs = yaml.safe_load(tracked.read_text(encoding="utf-8"))["outs"]
    return str(outputs[0].get("md5", "none"))
