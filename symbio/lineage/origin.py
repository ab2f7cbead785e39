"""Which study a training comes from: the trial that it is, or the one that found its params.

A trial's run says whose it is. A training that follows a search does not: it reads params.yaml as
any other. It is known by what it reads: the params that the search wrote as its best, and that it
wrote before the training began. The seed may be another.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.lineage.address import page_of_run
from symbio.lineage.collect import config_sha256
from symbio.params import load_params
from symbio.search.page.values import changes_told
from symbio.search.result import BEST_FILE, JSON_FILE
from symbio.tracking.mirror import PARENT_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_FOLDER = "study"
"""Of a study's files in the artifacts of its run."""
_NEWEST = 50
"""Studies that are looked into."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A trial of a study, and how a training comes from it."""

    study: str
    trial: str
    """Its number."""
    told: tuple[str, ...]
    """How the training comes from it."""
    run_id: str | None
    """The study's run in the store; None: it is not there."""
    address: str | None
    """Where a browser finds that run."""
    trial_run_id: str | None = None
    """The trial's own; None: it is not there, or is the training itself."""
    trial_address: str | None = None


def origin_of(client: MlflowClient, root: Path, run_id: str, dataset: str) -> Origin | None:
    """The trial that a training is, or has its params of; None: no study of this store.

    Args:
        client: of the store.
        root: the project's folder.
        run_id: of the training's run.
        dataset: that it trained on.

    Raises what MLflow raises when the store is away.
    """
    run = client.get_run(run_id)
    tags, experiment = run.data.tags, run.info.experiment_id
    if "symbio.study" in tags and "symbio.trial" in tags:
        parent = tags.get(PARENT_TAG)
        page = None if parent is None else page_of_run(root, experiment, parent)
        told = f"variant {tags['symbio.variant']}" if "symbio.variant" in tags else ""
        whole = tuple(filter(None, ("the training is this trial", told)))
        return Origin(tags["symbio.study"], tags["symbio.trial"], whole, parent, page)
    config = tags.get("symbio.config_sha256")
    if config is None:
        return None
    for study in _searches_before(client, run):
        trial = _best_trial(client, study.info.run_id, config, dataset)
        if trial is not None:
            own = _run_of(client, study, str(trial["number"]))
            return Origin(
                study.data.tags.get("symbio.study", study.info.run_name or ""),
                str(trial["number"]),
                ("its params are the training's", changes_told(trial["changes"])),
                study.info.run_id,
                page_of_run(root, experiment, study.info.run_id),
                own,
                None if own is None else page_of_run(root, experiment, own),
            )
    return None


def _searches_before(client: MlflowClient, run: Run) -> list[Run]:
    """Searches of the same experiment that had ended when the run began, newest first."""
    found = client.search_runs(
        [run.info.experiment_id],
        filter_string="tags.`symbio.stage` = 'search' AND "
        f"attributes.end_time <= {run.info.start_time}",
        order_by=["attributes.end_time DESC"],
        max_results=_NEWEST,
    )
    return list(found)


def _run_of(client: MlflowClient, study: Run, trial: str) -> str | None:
    """The run of a study's trial."""
    found = client.search_runs(
        [study.info.experiment_id],
        filter_string=f"tags.`{PARENT_TAG}` = '{study.info.run_id}' AND "
        f"tags.`symbio.trial` = '{trial}'",
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None


def _best_trial(
    client: MlflowClient, study_run: str, config: str, dataset: str
) -> Mapping[str, Any] | None:
    """The best trial of a search, an entry of result.json, if a training with `config` follows it.

    None too where it only confirmed the params that were there before.
    """
    names = {one.path for one in client.list_artifacts(study_run, _FOLDER)}
    wanted = [f"{_FOLDER}/{name}" for name in (BEST_FILE, JSON_FILE)]
    if not names.issuperset(wanted):
        return None
    with tempfile.TemporaryDirectory(prefix="symbio-lineage-") as folder:
        best, result = (Path(client.download_artifacts(study_run, one, folder)) for one in wanted)
        # Written by another version of symbio, whose params this one does not know.
        with contextlib.suppress(SymbioError):
            if config_sha256(load_params(best), dataset) != config:
                return None
            told = read_json(result, "the result of a search")
            found: Mapping[str, Any]
            for found in told["trials"]:
                if found["number"] == told["best"] and found["changes"]:
                    return found
    return None
