"""What the tracking store and the registry hold of this project: versions, logged models, runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from symbio.gc.disk import is_below, weight_of
from symbio.gc.item import GRACE_S
from symbio.params import dataset_names
from symbio.tracking.mirror import KEY_TAG
from symbio.tracking.models import aliases_of
from symbio.tracking.store import experiment_name, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Holdings:
    """Of one data set: its registered model and its experiment, which have one name."""

    name: str
    aliases: dict[str, str]
    """Alias -> version."""
    versions: list[ModelVersion]
    models: list[LoggedModel]
    """Logged models; of a database also those deleted an hour ago or longer."""
    runs: list[Run]
    """Runs; those deleted are among them where they can be purged, an hour after."""
    keys: set[str]
    """Own keys (tag symbio.key) of all runs, deleted or not."""


def holdings(root: Path, now: float) -> list[Holdings]:
    """Everything the store holds under the names of our data sets; nothing else is looked at.

    Args:
        root: the project's folder.
        now: seconds since 1970.

    Raises what MLflow raises when the store is away.
    """
    return [_of(open_store(root), root, experiment_name(one), now) for one in dataset_names(root)]


def database_of(client: MlflowClient) -> Any | None:
    """The store where it is a database that this machine reaches; a server's trash it does not."""
    store = client._tracking_client.store
    return store if hasattr(store, "_hard_delete_run") else None


def disk_of(uri: str) -> Path | None:
    """The folder of artifacts that an address means; None: they lie in another machine's store."""
    parts = urlsplit(uri)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def size_of(uri: str, root: Path) -> int | None:
    """Bytes of the artifacts at an address; None where they lie in another machine's store.

    Those of a folder outside the project, as a copied project's store names it, are not ours: 0.
    """
    folder = disk_of(uri)
    if folder is None:
        return None
    return weight_of(folder).size if is_below(folder, root) else 0


def is_deleted(run: Run) -> bool:
    """Whether somebody deleted the run, so that the store has it in its trash."""
    return bool(run.info.lifecycle_stage == "deleted")


def _of(client: MlflowClient, root: Path, name: str, now: float) -> Holdings:
    from mlflow.entities import ViewType

    def runs_in(view: int) -> Iterator[Run]:
        return _all(lambda token: client.search_runs(own, "", view, _PAGE, page_token=token))

    named = f"name = '{name}'"
    versions = list(_all(lambda token: client.search_model_versions(named, page_token=token)))
    experiment = client.get_experiment_by_name(name)
    models: list[LoggedModel] = []
    runs: list[Run] = []
    deleted: list[Run] = []
    if experiment is not None:
        own = [experiment.experiment_id]
        models += _all(lambda token: client.search_logged_models(own, page_token=token))
        models += _deleted_models(client, experiment.experiment_id, now)
        runs += runs_in(ViewType.ACTIVE_ONLY)
        deleted += runs_in(ViewType.DELETED_ONLY)
    keys = {run.data.tags.get(KEY_TAG, "") for run in (*runs, *deleted)}
    old = _deleted_runs(client, now)
    runs += [one for one in deleted if one.info.run_id in old]
    return Holdings(name, aliases_of(root, name), versions, models, runs, keys)


def _deleted_runs(client: MlflowClient, now: float) -> set[str]:
    store = database_of(client)
    return set() if store is None else set(store._get_deleted_runs(_older_than_ms(now)))


def _deleted_models(client: MlflowClient, experiment: str, now: float) -> Iterator[LoggedModel]:
    store = database_of(client)
    if store is None:
        return
    for model_id in store._get_deleted_logged_models(_older_than_ms(now)):
        model = store.get_logged_model(model_id, allow_deleted=True)
        if model.experiment_id == experiment:
            yield model


def _older_than_ms(now: float) -> int:
    """What MLflow, which looks at its own clock, has to take for an hour before `now`."""
    return int((time.time() - (now - GRACE_S)) * 1000)


def _all(page_at: Callable[[str | None], Any]) -> Iterator[Any]:
    token = None
    while True:
        page = page_at(token)
        yield from page
        token = page.token
        if not token:
            return
