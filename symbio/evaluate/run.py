"""The stage `evaluate`: models/{d} and data/ in, metrics/{d}.json and reports/{d}/ out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.evaluate.applicable import applicable
from symbio.evaluate.printed import protocols_table
from symbio.evaluate.protocol import protocol_named
from symbio.evaluate.rank import Task, evaluate_tasks
from symbio.files import read_json
from symbio.params import Params
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.local import run_here
from symbio.ranks.settings import RANKS_VARIABLE, num_gpus, settings_from

ALL = "all"
"""Instead of a protocol's name: every protocol that is defined on the frames."""


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A model that is not the pipeline's own, and where its results go."""

    folder: Path
    called: str
    """What messages call it: `models:/symbio-nyu/3`."""
    out: Path
    """Gets a folder {dataset}-{split}-{protocol} with metrics.json and report/ of each result."""


def run(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    protocol: str | None = None,
    split: str = "test",
    ranks: int | str | None = None,
    other: OtherModel | None = None,
) -> dict[str, Any]:
    """Evaluate by one protocol, and return the content of its metrics file; see `run_all`."""
    return run_all(params, dataset, root, protocol, split, ranks, other)[0]


def run_all(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    protocol: str | None = None,
    split: str = "test",
    ranks: int | str | None = None,
    other: OtherModel | None = None,
    flip: bool = False,
) -> list[dict[str, Any]]:
    """Evaluate the trained model of a data set, or another one.

    The pipeline's own result (the params' protocol on the test split) is `metrics/{d}.json` and
    `reports/{d}/`; any other goes beside it, as `{d}-{split}-{protocol}`, with `-flip` where
    mirrored views are averaged in, and replaces nothing. Several are one pass over the frames, and
    are printed as a table.

    Args:
        params: of the experiment; the network's own size and depth range come from its card.
        dataset: a data set of the params.
        root: the project's folder.
        protocol: another protocol than the params' own; "all": every one that is defined on
            these frames, the params' own first.
        split: "test", "val" or "train".
        ranks: processes on this host, which change no byte of the outputs; None: SYMBIO_RANKS,
            else one a GPU, else one. With one, none is started.
        other: a model that is not models/{d}, with a place of its own for the results.
        flip: also score the mean of the answers to each view and to its mirror image.

    Returns:
        The content of each metrics file.

    Raises:
        SymbioError: something is missing or broken, the model is of another data set, or the
            protocol is unknown or not defined on these frames.
    """
    tasks, why_not = tasks_of(params, dataset, root, protocol, split, other, flip)
    number = _ranks(ranks)
    if number == 1:
        found = evaluate_tasks(tasks)
    else:
        arguments = [dataset, "--root", str(root), "--split", split]
        arguments += ["--protocol", protocol or tasks[0].protocol.name]
        arguments += ["--flip"] if flip else []
        if other is not None:
            arguments += ["--model", str(other.folder), "--called", other.called]
            arguments += ["--out", str(other.out)]
        handed = {PARAMS_VARIABLE: params.model_dump_json()}
        run_here("symbio.evaluate", arguments, number, handed)
        found = [read_json(task.metrics, "the metrics of an evaluation") for task in tasks]
    if len(found) > 1 or protocol == ALL:
        sys.stdout.write(f"{protocols_table(found, why_not)}\n")
    return found


def tasks_of(
    params: Params,
    dataset: str,
    root: Path,
    protocol: str | None,
    split: str,
    other: OtherModel | None = None,
    flip: bool = False,
) -> tuple[list[Task], dict[str, str]]:
    """What the arguments of `run_all` mean.

    Returns:
        The tasks, those without mirrored views first; and of "all" why protocols are left out.

    Raises:
        SymbioError: there is no such protocol; or "all" of frames that are not prepared.
    """
    names, why_not = [protocol], dict[str, str]()
    if protocol == ALL:
        folder = root / "data" / "prepared" / dataset
        found, why_not = applicable(folder, dataset, split)
        # The params' own is never left out: what makes it undefined has to be seen.
        own = params.dataset(dataset).protocol
        why_not.pop(own, None)
        names = [own, *(one.name for one in found if one.name != own)]
    tasks = [
        task_of(params, dataset, root, name, split, other, mirrored)
        for mirrored in ((False, True) if flip else (False,))
        for name in names
    ]
    return tasks, why_not


def task_of(
    params: Params,
    dataset: str,
    root: Path,
    protocol: str | None,
    split: str,
    other: OtherModel | None = None,
    flip: bool = False,
) -> Task:
    """One evaluation and its place. Raises SymbioError if there is no such protocol."""
    usual = params.dataset(dataset).protocol
    rules = protocol_named(protocol or usual)
    name = f"{dataset}-{split}-{rules.name}{'-flip' if flip else ''}"
    if other is not None:
        metrics, report = other.out / name / "metrics.json", other.out / name / "report"
        model, called = other.folder, other.called
    else:
        own = (rules.name, split, flip) == (usual, "test", False)
        name = dataset if own else name
        metrics, report = root / "metrics" / f"{name}.json", root / "reports" / name
        model = root / "models" / dataset
        called = str(model)
    return Task(root, dataset, rules, split, model, called, metrics, report, flip)


def _ranks(wanted: int | str | None) -> int:
    if wanted is None and RANKS_VARIABLE not in os.environ:
        return num_gpus() or 1
    return settings_from({"ranks": wanted}).ranks
