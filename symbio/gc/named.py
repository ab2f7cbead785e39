"""What the checkouts and branches of the project name: data, versions, runs, weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from symbio.gc.checkouts import Told
from symbio.gc.folders import REPRODUCTION_FOLDER, keys_under_way
from symbio.gc.judge import Wanted
from symbio.gc.store import Holdings
from symbio.gc.work import weights_here

_VERSION = re.compile(r"\bmodels:/(symbio-[a-z]+/[0-9]+)\b")


def wanted_by(root: Path, trees: Mapping[Path, list[Told]], branches: Iterable[Told]) -> Wanted:
    """What the project wants of the store.

    Args:
        root: the project's folder.
        trees: folder of a checkout that stays -> its naming files.
        branches: those of all refs.
    """
    wanted = Wanted()
    for folder, files in trees.items():
        if folder.resolve().is_relative_to((root / REPRODUCTION_FOLDER).resolve()):
            continue  # It has a store of its own.
        for key, why in keys_under_way(folder).items():
            wanted.runs.mark([key], why)
        wanted.weights.mark(weights_here(folder), "trained the network in models/ of a checkout")
        wanted.versions.mark(registered_in(files), "registry/ of a checkout names it")
    wanted.versions.mark(registered_in(branches), "registry/ of a branch or tag names it")
    return wanted


def registered_in(files: Iterable[Told]) -> list[str]:
    """Versions ("symbio-nyu/3") that registry/{dataset}.json names, also amid a merge."""
    registries = (told for told in files if told.path.parent.name == "registry")
    return [one for told in registries for one in _VERSION.findall(told.text)]


def doubt_of(held: Holdings, files: Iterable[Told]) -> str | None:
    """Why this may be the wrong store; None: it has what the project registered last.

    With another MLFLOW_TRACKING_URI than the project's own, everything would seem unneeded.
    """
    for told in files:
        if told.path.parent.name != "registry" or told.path.stem != _dataset(held):
            continue
        try:
            entry = json.loads(told.text)
            number, run_id = str(entry["version"]), entry["run_id"]
        except (ValueError, KeyError, TypeError):
            return f"{told.path}: is not readable, so what was registered last is not known"
        found = {str(one.version): one.run_id for one in held.versions}
        if found.get(number) != run_id:
            return (
                f"{told.path} names version {number} of {held.name}, which this store does not "
                "have: set MLFLOW_TRACKING_URI as it was when it was registered; or register the "
                f"model here (`symbio register {_dataset(held)}`)"
            )
    return None


def _dataset(held: Holdings) -> str:
    return held.name.removeprefix("symbio-")
