"""The model registry: log, register, find, fetch."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.tracking.outage import without_secrets
from symbio.tracking.store import FOLDER, global_store, locked, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.models import Model

MODEL_NAME = "model"
"""Name of the logged model within a run: `runs:/RUN_ID/model`."""

_READY_WITHIN_S = 120
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<number>[0-9]+)|@(?P<alias>[^/@]+))")


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


@contextlib.contextmanager
def logging_package(root: Path, run_id: str, folder: Path) -> Iterator[Model]:
    """Log the package that the block writes to `folder` under a run, whatever that run's status.

    Yields MLflow's description of the model, which has its ids and has to be saved with the
    package: by them MLflow knows which metrics and traces are this model's. When the block ends,
    the files are uploaded and the model is ready at `models:/{description.model_id}`; metrics of
    the run at step 0 (an evaluation's) become the model's. On an error the model is marked failed.
    """
    with global_store(root) as client:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        run = client.get_run(run_id)
        # Made here, because MLflow itself would put it into the default experiment.
        logged = client.create_logged_model(
            run.info.experiment_id,
            name=MODEL_NAME,
            source_run_id=run_id,
            params=run.data.params,
            model_type="symbio",
        )
        try:
            yield Model(
                artifact_path=logged.artifact_location,
                run_id=run_id,
                model_uuid=logged.model_id,
                model_id=logged.model_id,
            )
            client.log_model_artifacts(logged.model_id, str(folder))
            client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            _copy_metrics(client, run_id, logged.model_id)
            client.finalize_logged_model(logged.model_id, "READY")
        except BaseException:
            # The store may be what failed.
            with contextlib.suppress(Exception):
                client.finalize_logged_model(logged.model_id, "FAILED")
            raise


def find_version(root: Path, name: str, tags: Mapping[str, str]) -> Version | None:
    """The newest version of `name` that has all these tags, or None."""
    found = [one for one in _versions(open_store(root), name) if tags.items() <= one.tags.items()]
    return max(found, key=lambda one: int(one.version), default=None)


def versions_of(root: Path, name: str) -> list[Version]:
    """All versions of a registered model, in no order."""
    return _versions(open_store(root), name)


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


def drop_alias(root: Path, name: str, alias: str) -> None:
    """Let `models:/name@alias` mean nothing; it may not have meant anything before."""
    open_store(root).delete_registered_model_alias(name, alias)


def aliases_of(root: Path, name: str) -> dict[str, str]:
    """Alias -> version of a registered model; empty where there is no such model."""
    model = _registered(open_store(root), name)
    return {} if model is None else {key: str(one) for key, one in model.aliases.items()}


def model_tags(root: Path, name: str) -> dict[str, str]:
    """Tags of a registered model; empty where there is no such model."""
    model = _registered(open_store(root), name)
    return {} if model is None else dict(model.tags)


def model_tag(root: Path, name: str, key: str) -> str | None:
    """A tag of a registered model, or None."""
    return model_tags(root, name).get(key)


def tag_model(root: Path, name: str, key: str, value: str) -> None:
    """Tag a registered model."""
    open_store(root).set_registered_model_tag(name, key, value)


def drop_model_tag(root: Path, name: str, key: str) -> None:
    """Remove a tag of a registered model, if it has it."""
    from mlflow.exceptions import MlflowException

    try:
        open_store(root).delete_registered_model_tag(name, key)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def tag_version(root: Path, version: Version, tags: Mapping[str, str]) -> None:
    """Tag a version; a tag that it has already is overwritten."""
    client = open_store(root)
    for key, value in tags.items():
        client.set_model_version_tag(version.name, version.version, key, value)


def version_of(root: Path, name: str, number: str) -> Version | None:
    """A version by its number, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(open_store(root).get_model_version(name, number))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def version_at(root: Path, uri: str) -> Version:
    """The version that an address means now: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.

    Raises:
        SymbioError: the address is of another form, or means nothing.
    """
    found = _ADDRESS.fullmatch(uri)
    if found is None:
        raise SymbioError(
            f"{uri}: is no registered version; write models:/NAME/VERSION or models:/NAME@ALIAS, "
            "for instance models:/symbio-nyu@candidate"
        )
    name, number, alias = found.group("name", "number", "alias")
    aliases = aliases_of(root, name) if alias is not None else {}
    number = aliases.get(alias) if alias is not None else number
    version = None if number is None else version_of(root, name, number)
    if version is None:
        known = ", ".join(f"@{key} (version {one})" for key, one in sorted(aliases.items()))
        raise SymbioError(
            f"{uri}: there is no such version in {without_secrets(tracking_uri(root))}"
            f"{f'; there are {known}' if known else ''}; `symbio register` makes one"
        )
    return version


@contextlib.contextmanager
def registering(root: Path, name: str) -> Iterator[None]:
    """One registration of `name` at a time on this machine; the second sees what the first made."""
    with locked(root / FOLDER / f".register-{name}.lock"):
        yield


def _copy_metrics(client: MlflowClient, run_id: str, model_id: str) -> None:
    """Give the run's metrics of step 0 to the model too."""
    from mlflow.entities import Metric

    metrics = [
        Metric(one.key, one.value, one.timestamp, one.step, model_id=model_id, run_id=run_id)
        for key in client.get_run(run_id).data.metrics
        for one in client.get_metric_history(run_id, key)
        if one.step == 0 and one.model_id is None
    ]
    client.log_batch(run_id, metrics=metrics)


def _registered(client: MlflowClient, name: str) -> RegisteredModel | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


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
