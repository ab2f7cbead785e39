"""What a flow has made is in the store that it was told to use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.errors import CommandFailed, TryAgain
from flows.stage import run_verb
from symbio.files import read_json
from symbio.tracking.models import find_version
from symbio.tracking.store import experiment_name
from symbio.tracking.training import WEIGHTS_TAG


def ensure_registered(root: Path, dataset: str) -> dict[str, Any]:
    """registry/{d}.json, whose version is there.

    DVC knows no stores: a model that was registered in another one (the embedded one, before
    the platform was started) counts as registered to it. Such a model is registered again, and
    the run that trained it is sent along.
    """
    entry = read_json(root / "registry" / f"{dataset}.json", "the registered version")
    if not _is_there(root, entry):
        # By DVC, so that dvc.lock knows the new entry.
        command = ["dvc", "repro", "--single-item", "--force", f"register@{dataset}"]
        run_verb(root, f"register-here@{dataset}", command)
        entry = read_json(root / "registry" / f"{dataset}.json", "the registered version")
    found: dict[str, Any] = entry
    return found


def promote(root: Path, dataset: str, model: str) -> str:
    """Let the rules decide whether `model` becomes the champion; returns what was said.

    A champion that was measured otherwise (older data, another protocol) is measured again first.

    Raises:
        CommandFailed: the decision cannot be made.
    """
    command = ["symbio", "promote", dataset, "--model", model]
    try:
        return run_verb(root, f"promote@{dataset}", command)
    except TryAgain:
        raise
    except CommandFailed:
        champion = ["--model", f"models:/{experiment_name(dataset)}@champion"]
        run_verb(root, f"measure-champion@{dataset}", ["symbio", "evaluate", dataset, *champion])
        return run_verb(root, f"promote-again@{dataset}", command)


def _is_there(root: Path, entry: dict[str, Any]) -> bool:
    tags = {WEIGHTS_TAG: str(entry["weights_sha256"])}
    version = find_version(root, entry["name"], tags)
    return version is not None and version.version == str(entry["version"])
