"""The runs that made a version, and what happened to it since: read from the tracking store."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.files import read_json
from symbio.lineage.address import page_of_run
from symbio.lineage.origin import Origin, origin_of
from symbio.lineage.recorded import Recorded
from symbio.tracking.models import Version, aliases_of
from symbio.tracking.store import experiment_name, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

_EVALUATION = "symbio.evaluation."
_DECISIONS = "promotion"
_DECISIONS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Run:
    """A run in the store."""

    run_id: str
    name: str
    stage: str
    """The verb: "train"; "register" of a model that was trained where this store was not."""
    status: str
    started_ms: int
    """Since 1970, UTC."""
    ended_ms: int | None
    address: str | None
    """Where a browser finds it; None: the store is no server."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A later measurement of the version."""

    split: str
    protocol: str
    sha256: str
    """Of its metrics file."""
    told: tuple[str, ...]
    """The headline and its value, if they are known."""
    run_id: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What `symbio promote` decided of the version."""

    verdict: str
    time: str
    """ISO 8601, UTC."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The runs around a version."""

    run: Run | None
    """That it is logged under; None: this store has no such run."""
    origin: Origin | None = None
    """The trial of a study that it is, or that its params were found by."""
    aliases: tuple[str, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """Oldest first; of many the newest."""
    labelling: Run | None = None
    """That wrote the labels; None: this store has no such run."""


def history_of(root: Path, record: Recorded) -> History:
    """Ask the store. Raises what MLflow raises when it is away."""
    version, client = record.version, open_store(root)
    run = _run(client, root, version.run_id)
    aliases = aliases_of(root, version.name).items()
    return History(
        run,
        None if run is None else origin_of(client, root, run.run_id, record.dataset),
        tuple(sorted(alias for alias, number in aliases if number == version.version)),
        tuple(_evaluations(client, root, version)),
        () if run is None else _decisions(client, version),
        _labelling(client, root, record),
    )


def _labelling(client: MlflowClient, root: Path, record: Recorded) -> Run | None:
    """The newest run that wrote labels with the index of those that were read."""
    tag = f"symbio.index.data/pseudo/{record.dataset}"
    experiment = client.get_experiment_by_name(experiment_name(record.dataset))
    if experiment is None or tag not in record.version.tags:
        return None
    found = client.search_runs(
        [experiment.experiment_id],
        f"tags.`{tag}` = '{record.version.tags[tag]}' and tags.`symbio.stage` = 'label'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return _run(client, root, found[0].info.run_id) if found else None


def _run(client: MlflowClient, root: Path, run_id: str) -> Run | None:
    from mlflow.exceptions import MlflowException

    if not run_id:
        return None
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    info, tags = found.info, found.data.tags
    return Run(
        run_id,
        f"{info.run_name}{' (deleted)' if info.lifecycle_stage == 'deleted' else ''}",
        tags.get("symbio.stage", ""),
        info.status,
        int(info.start_time),
        None if info.end_time is None else int(info.end_time),
        page_of_run(root, info.experiment_id, run_id),
    )


def _evaluations(client: MlflowClient, root: Path, version: Version) -> Iterator[Evaluation]:
    """The newest one by each protocol on each split."""
    for key, value in sorted(version.tags.items()):
        if not key.startswith(_EVALUATION):
            continue
        split, protocol = key.removeprefix(_EVALUATION).split(".", 1)
        told = json.loads(value)
        run = _run(client, root, told["run_id"])
        prefix = f"metric.{split}.{protocol}."
        scores = [
            f"{name.removeprefix(prefix)} {score}"
            for name, score in sorted(version.tags.items())
            if name.startswith(prefix)
        ]
        missing = ["no run in this store"] if run is None else []
        yield Evaluation(
            split,
            protocol,
            told["metrics_sha256"],
            (*scores, *missing),
            told["run_id"],
            None if run is None else run.address,
        )


def _decisions(client: MlflowClient, version: Version) -> tuple[Decision, ...]:
    prefix = f"{_DECISIONS}/{version.name}-{version.version}-"
    paths = sorted(
        one.path
        for one in client.list_artifacts(version.run_id, _DECISIONS)
        if one.path.startswith(prefix) and one.path.endswith(".json")
    )
    found = []
    with tempfile.TemporaryDirectory(prefix="symbio-lineage-") as folder:
        for path in paths[-_DECISIONS_SHOWN:]:
            local = Path(client.download_artifacts(version.run_id, path, folder))
            told = read_json(local, "a decision about a version")
            found.append(Decision(told["verdict"], told["time"], tuple(told["reasons"])))
    return tuple(found)
