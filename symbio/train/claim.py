"""Whose folder checkpoints/{dataset} is: this very run's, another's, or nobody's yet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from symbio.data.classes import label_space
from symbio.data.shards import INDEX
from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.params import Params
from symbio.progress import say
from symbio.train.best import FOLDER
from symbio.train.fingerprint import changes, fingerprint, ingredients
from symbio.train.paths import Paths
from symbio.train.records.status import read_status

RECIPE = "run.json"


def step_of(resume: str) -> int | None:
    """`--resume`: None for "auto", else the step of the checkpoint. Raises SymbioError."""
    if resume == "auto":
        return None
    if not resume.isdecimal():
        raise SymbioError(f"--resume {resume!r}: give `auto` or the step of a checkpoint")
    return int(resume)


def uses_pseudo(params: Params) -> bool:
    """Whether training reads pseudo-labels: a network without semantics needs them not."""
    wanted = params.model.semantics or params.nearfarmix.mix == "classmix"
    return wanted and params.labels.share > 0


def says_classes(params: Params) -> bool:
    """Whether the network will say classes: its semantic branch is there and learns from labels."""
    return params.model.semantics and params.labels.share > 0


def recipe_of(params: Params, paths: Paths) -> dict[str, Any]:
    """What a run with these parameters and the data in `paths` is made of.

    Raises:
        SymbioError: prepared data or pseudo-labels are missing, or the network's classes cannot
            be compared with the data set's.
    """
    pseudo = paths.pseudo if uses_pseudo(params) else None
    parts = ingredients(params, paths.dataset, paths.prepared, pseudo)
    index = read_json(paths.prepared / INDEX, "the index of the prepared frames")
    # Only looked up: classes that cannot be scored are refused before a folder is touched.
    label_space(index["header"]["label_space"], params.labels.space)
    return parts


def claim(run: Path, recipe: dict[str, Any], wanted: int | None) -> None:
    """Make `run` the folder of this run; another run's content is moved aside, and said.

    Args:
        run: the folder, locked by the caller.
        recipe: from `recipe_of`.
        wanted: step of an explicit resume, which must not meet another run.

    Raises:
        SymbioError: an explicit resume with changed parameters or data; lists the changes.
    """
    record = run / RECIPE
    if record.is_file():
        old = read_json(record, "what a run was made of")["ingredients"]
        differences = changes(old, recipe)
        if differences and wanted is not None:
            raise SymbioError(
                f"{run}: belongs to a run with other parameters or data, which cannot be resumed "
                "with these:\n  " + "\n  ".join(differences)
            )
        if differences:
            _move_aside(run, differences)
    if not record.is_file():
        write_json(record, {"ingredients": recipe, "fingerprint": fingerprint(recipe)})


def finished_before(run: Path, recipe: dict[str, Any]) -> bool:
    """Whether this very run came to its end, so that only its export may be owed."""
    status = read_status(run)
    return (
        status is not None
        and status["state"] == "finished"
        and status.get("fingerprint") == fingerprint(recipe)
    )


def _move_aside(run: Path, differences: list[str]) -> None:
    previous = run.with_name(f"{run.name}.previous")
    if any(run.glob("step-*")) or (run / FOLDER).is_dir():
        shutil.rmtree(previous, ignore_errors=True)
        run.rename(previous)
        say(f"starting afresh; the run with other settings is now {previous}:")
    else:
        # It never got as far as a checkpoint: not worth the place of one that did.
        shutil.rmtree(run)
        say("starting afresh with other settings:")
    for difference in differences:
        say(f"  {difference}")
