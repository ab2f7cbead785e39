"""What is compared: a registered version, or a run."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.tracking.measurements import (
    Measurement,
    RunFacts,
    measurements_of_run,
    measurements_of_version,
    run_facts,
)
from symbio.tracking.models import Version, find_version, version_at
from symbio.tracking.store import experiment_name
from symbio.tracking.training import WEIGHTS_TAG

_RUN = re.compile(r"runs:/(?P<id>[0-9a-f]{32})(?:/model)?")
_SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison."""

    uri: str
    """Without an alias, which may mean another version tomorrow."""
    title: str
    short: str
    """For names of files."""
    dataset: str
    version: Version | None
    """Of a run: the version that it evaluated, or that its network was registered as, if any."""
    trained: RunFacts
    """The run that made the network, as far as that is known; else the one that measured it."""
    measurements: list[Measurement]
    """At least one, the newest first."""


def subject_at(params: Params, root: Path, name: str) -> Subject:
    """Find it in the store.

    Args:
        params: their protocols say which scores of a version count.
        root: the project's folder.
        name: `models:/NAME/VERSION`, `models:/NAME@ALIAS` or `runs:/RUN_ID`.

    Raises:
        SymbioError: there is no such thing, or it was not measured.
    """
    if name.startswith("runs:/"):
        return _run(root, name)
    return _version(params, root, name)


def _version(params: Params, root: Path, name: str) -> Subject:
    version = version_at(root, name)
    dataset = next((one for one in params.datasets if experiment_name(one) == version.name), None)
    if dataset is None or not version.run_id:
        raise SymbioError(f"{version.uri}: symbio did not register it, and knows no scores of it")
    protocol = params.dataset(dataset).protocol
    found = measurements_of_version(root, version, protocol)
    if not found:
        raise SymbioError(
            f"{version.uri}: there are no scores of it on the test split by {protocol}; measure "
            f"it: `symbio evaluate {dataset} --model {version.uri}`"
        )
    title, short = f"{version.name}/{version.version}", f"{version.name}-{version.version}"
    trained = run_facts(root, version.run_id)
    return Subject(version.uri, title, short, dataset, version, trained, found)


def _run(root: Path, name: str) -> Subject:
    told = _RUN.fullmatch(name)
    if told is None:
        raise SymbioError(
            f"{name}: is no run; write runs:/RUN_ID, 32 hexadecimal digits as MLflow shows them"
        )
    run = run_facts(root, told["id"])
    dataset = run.tags.get("symbio.dataset")
    with tempfile.TemporaryDirectory(prefix="symbio-compare-") as folder:
        found = measurements_of_run(root, run.run_id, Path(folder))
    if dataset is None or not found:
        raise SymbioError(
            f"{name}: {run.name} holds no scores on the test split; name a training that was "
            "evaluated, a trial that was measured, or an evaluation"
        )
    # An evaluation of a version tells of which.
    of_version = run.tags.get("symbio.model")
    if of_version is not None:
        version: Version | None = version_at(root, of_version)
    else:
        weights = {WEIGHTS_TAG: str(found[0].metrics["weights_sha256"])}
        version = find_version(root, experiment_name(dataset), weights)
    trained = run if version is None else run_facts(root, version.run_id)
    short = f"run-{run.run_id[:_SHORT_ID]}"
    title = f"{run.name} ({run.run_id[:_SHORT_ID]})"
    return Subject(f"runs:/{run.run_id}", title, short, dataset, version, trained, found)
