"""The going of versions, logged models and runs: out of registry and store, and off the disk.

A server keeps what was deleted in its trash, which only `mlflow gc` beside its database empties. A
database that this machine reaches is purged at once, as that command does it, but of these runs and
models alone: the command would also empty the trash of others' experiments.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symbio.gc.disk import is_below, remove_folder
from symbio.gc.store import database_of, disk_of, is_deleted
from symbio.tracking.record import RUNNING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ABSENT = "RESOURCE_DOES_NOT_EXIST"


def remove_version(client: MlflowClient, key: str) -> bool:
    """Delete a version ("symbio-nyu/3"); False: an alias means it by now, so it stays.

    Raises what MLflow raises when the store is away; so do the others.
    """
    from mlflow.exceptions import MlflowException

    name, _, number = key.partition("/")
    try:
        if number in {str(one) for one in client.get_registered_model(name).aliases.values()}:
            return False
        client.delete_model_version(name, number)
    except MlflowException as error:
        if error.error_code != _ABSENT:
            raise
    return True


def remove_model(client: MlflowClient, root: Path, model_id: str) -> bool:
    """Delete a logged model, and purge it where the store is a database; always True."""
    from mlflow.exceptions import MlflowException

    store = database_of(client)
    try:
        client.delete_logged_model(model_id)
    except MlflowException as error:
        if error.error_code != _ABSENT:
            raise
    if store is not None:
        try:
            model = store.get_logged_model(model_id, allow_deleted=True)
        except MlflowException as error:
            if error.error_code != _ABSENT:
                raise
            return True
        _remove_artifacts(model.artifact_location, model_id, root)
        store._hard_delete_logged_model(model_id)
    return True


def remove_run(client: MlflowClient, root: Path, run_id: str) -> bool:
    """Delete a run, and purge it where the store is a database; False: it runs by now."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != _ABSENT:
            raise
        return True
    if not is_deleted(run):
        if run.info.status == RUNNING:
            return False
        client.delete_run(run_id)
    store = database_of(client)
    if store is not None:
        _remove_artifacts(run.info.artifact_uri, run_id, root)
        store._hard_delete_run(run_id)
    return True


def _remove_artifacts(uri: str, owner: str, root: Path) -> None:
    """Remove the files of a run or model; those on a disk only if they lie in this project."""
    folder = disk_of(uri)
    if folder is None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        get_artifact_repository(uri).delete_artifacts()
    elif is_below(folder, root):
        # A copied project's store names the folders of the project that it was copied from.
        remove_folder(folder.parent if folder.parent.name == owner else folder, root)
