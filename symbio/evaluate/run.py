"""The stage `evaluate`: models/{d} and data/ in, metrics/{d}.json and reports/{d}/ out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.evaluate.protocol import protocol_named
from symbio.evaluate.rank import Task, evaluate_rank
from symbio.files import read_json
from symbio.params import Params
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.local import run_here
from symbio.ranks.settings import RANKS_VARIABLE, num_gpus, settings_from


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A model that is not the pipeline's own, and where its results go."""

    folder: Path
    called: str
    """What messages call it: `models:/symbio-nyu/3`."""
    out: Path
    """Folder of metrics.json and report/."""


def run(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    protocol: str | None = None,
    split: str = "test",
    ranks: int | str | None = None,
    other: OtherModel | None = None,
) -> dict[str, Any]:
    """Evaluate the trained model of a data set, or another one.

    The pipeline's own result (the params' protocol on the test split) is `metrics/{d}.json` and
    `reports/{d}/`; any other goes beside it, as `{d}-{split}-{protocol}`, and replaces nothing.

    Args:
        params: of the experiment; the network's own size and depth range come from its card.
        dataset: "nyu" or "kitti".
        root: the project's folder.
        protocol: another protocol than the params' own.
        split: "test", "val" or "train".
        ranks: processes on this host, which change no byte of the outputs; None: SYMBIO_RANKS,
            else one a GPU, else one. With one, none is started.
        other: a model that is not models/{d}, with a place of its own for the results.

    Returns:
        The content of the metrics file.

    Raises:
        SymbioError: something is missing or broken, the model is of another data set, or the
            protocol is unknown or not defined on these frames.
    """
    task = task_of(params, dataset, root, protocol, split, other)
    number = _ranks(ranks)
    if number == 1:
        return evaluate_rank(task)
    arguments = [dataset, "--root", str(root), "--protocol", task.protocol.name, "--split", split]
    if other is not None:
        arguments += ["--model", str(other.folder), "--called", other.called]
        arguments += ["--out", str(other.out)]
    run_here("symbio.evaluate", arguments, number, {PARAMS_VARIABLE: params.model_dump_json()})
    metrics: dict[str, Any] = read_json(task.metrics, "the metrics of an evaluation")
    return metrics


def task_of(
    params: Params,
    dataset: str,
    root: Path,
    protocol: str | None,
    split: str,
    other: OtherModel | None = None,
) -> Task:
    """What the arguments of `run` mean. Raises SymbioError if there is no such protocol."""
    usual = params.dataset(dataset).protocol
    rules = protocol_named(protocol or usual)
    if other is not None:
        metrics, report = other.out / "metrics.json", other.out / "report"
        return Task(root, dataset, rules, split, other.folder, other.called, metrics, report)
    name = dataset if (rules.name, split) == (usual, "test") else f"{dataset}-{split}-{rules.name}"
    model = root / "models" / dataset
    metrics, report = root / "metrics" / f"{name}.json", root / "reports" / name
    return Task(root, dataset, rules, split, model, str(model), metrics, report)


def _ranks(wanted: int | str | None) -> int:
    if wanted is None and RANKS_VARIABLE not in os.environ:
        return num_gpus() or 1
    return settings_from({"ranks": wanted}).ranks
