"""The model registry: log, register, find, fetch."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.tracking.store import FOLDER, global_store, locked, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODEL_NAME = "model"
"""Name of the logged model within a run: `runs:/RUN_ID/model`."""

_READY_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model."""

    name: str
    version: str
    run_id: str
    source: str
    tags: dict[str, str]

    @property
    def uri(self) -> str:
        """Address by which it can be loaded."""
        return f"models:/{self.name}/{self.version}"


def log_pyfunc(root: Path, run_id: str, **package: Any) -> str:
    """Log a pyfunc model under a run, whatever that run's status; returns its `models:/` address.

    `package` is what `mlflow.pyfunc.save_model` takes. Metrics of the run at step 0 (an
    evaluation's) become the model's.
    """
    with global_store(root) as client:
        run = client.get_run(run_id)
        # Made here, because MLflow itself would put it into the default experiment.
        model = client.create_logged_model(
            run.info.experiment_id,
            name=MODEL_NAME,
            source_run_id=run_id,
            params=run.data.params,
            model_type="symbio",
        )
        with warnings.catch_warnings():
            # On import MLflow warns of type hints of its own.
            warnings.simplefilter("ignore", UserWarning)
            import mlflow.pyfunc
        from mlflow.models import Model

        info = Model.log(None, mlflow.pyfunc, run_id=run_id, model_id=model.model_id, **package)
    return f"models:/{info.model_id}"


def find_version(root: Path, name: str, tags: Mapping[str, str]) -> Version | None:
    """The newest version of `name` that has all these tags, or None."""
    found = [one for one in _versions(open_store(root), name) if tags.items() <= one.tags.items()]
    return max(found, key=lambda one: int(one.version), default=None)


def register_version(
    root: Path, name: str, source: str, run_id: str, tags: Mapping[str, str], description: str
) -> Version:
    """Make a new version of `name` (created if need be), wait until it is ready.

    Raises:
        SymbioError: the store did not get it ready.
    """
    from mlflow.exceptions import MlflowException

    # The registry looks the logged model up in MLflow's global store.
    with global_store(root) as client:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise
        made = client.create_model_version(
            name,
            source,
            run_id=run_id,
            tags=dict(tags),
            description=description,
            await_creation_for=_READY_WITHIN_S,
            model_id=source.removeprefix("models:/"),
        )
    if made.status not in (None, "READY"):
        raise SymbioError(f"{name} version {made.version} is {made.status}: {made.status_message}")
    return _version(made)


def point_alias(root: Path, name: str, alias: str, version: str) -> None:
    """Let `models:/name@alias` mean this version."""
    open_store(root).set_registered_model_alias(name, alias, version)


@contextlib.contextmanager
def registering(root: Path, name: str) -> Iterator[None]:
    """One registration of `name` at a time on this machine; the second sees what the first made."""
    with locked(root / FOLDER / f".register-{name}.lock"):
        yield


def fetch_model(uri: str, root: Path, into: Path) -> Path:
    """Download the model at `models:/...` or `runs:/...`; returns its folder.

    Raises:
        SymbioError: there is no such model, or the store is away.
    """
    try:
        with global_store(root):
            import mlflow

            fetched = mlflow.artifacts.download_artifacts(uri, dst_path=str(into))
    except Exception as error:
        # Stores fail in many types (HTTP, S3, database driver, MLflow's own).
        raise SymbioError(
            f"{uri}: cannot be had from the store {tracking_uri(root)} ({error})"
        ) from error
    return Path(fetched)


def _versions(client: MlflowClient, name: str) -> list[Version]:
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found += [_version(one) for one in page]
        token = page.token
        if not token:
            return found


def _version(found: ModelVersion) -> Version:
    return Version(
        name=found.name,
        version=str(found.version),
        run_id=found.run_id or "",
        source=found.source,
        tags=dict(found.tags),
    )
