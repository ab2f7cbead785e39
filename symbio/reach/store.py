"""Whether the tracking store answers, and whether artifacts can be stored."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from symbio.params import dataset_names
from symbio.reach.bucket import check_bucket
from symbio.reach.failure import failed_check
from symbio.reach.folder import check_folder
from symbio.reach.reached import Reached, reached
from symbio.tracking.outage import without_secrets
from symbio.tracking.store import experiment_name, open_store, tracking_uri

_STORE, _ARTIFACTS = "tracking store", "artifacts of runs"
_STORE_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
_S3_VARIABLES = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_SQLITE = "sqlite:///"


def require_store(root: Path) -> list[Reached]:
    """The tracking store and the places of its runs' artifacts, each of them usable.

    Asking makes nothing that a run would not make. Whether a server lets this user write is not
    tried; its artifacts are.

    Raises:
        SymbioError: one of them is not: exit code 75 if it is away, else 2.
    """
    return list(each_store(root))


def each_store(root: Path) -> Iterator[Reached]:
    """What `require_store` returns, one after the other as it is found."""
    uri = tracking_uri(root)
    places: list[str] = []
    if uri.startswith(_SQLITE):
        database = Path(unquote(uri.removeprefix(_SQLITE).partition("?")[0]))
        yield reached(_STORE, str(database), lambda: check_folder(database.parent, _STORE))
        if not database.is_file():  # made, with a folder for artifacts beside it, by the first run
            return
        places += _artifact_places(root, uri)
    else:
        yield reached(
            _STORE, without_secrets(uri), lambda: places.extend(_artifact_places(root, uri))
        )
    for place in places:
        yield _reached_artifacts(place, uri)


def _artifact_places(root: Path, uri: str) -> list[str]:
    """Where runs of our experiments keep artifacts; where there are none yet: the default."""
    from mlflow.exceptions import MlflowException

    try:
        client = open_store(root)
        client.search_experiments(max_results=1)
        named = [client.get_experiment_by_name(experiment_name(one)) for one in dataset_names(root)]
        found = [one for one in named if one is not None]
        if not found and not uri.startswith(_SQLITE):
            try:
                found = [client.get_experiment("0")]
            except MlflowException:  # deleted for good: nobody knows before the first run
                return []
    except Exception as error:
        what = f"{without_secrets(uri)} ({_STORE}) does not answer as it should"
        raise failed_check(error, what, uri, _STORE_VARIABLES) from error
    # Experiments of one server lie side by side: one try for all of them.
    return list(dict.fromkeys(_place(one.artifact_location, one.experiment_id) for one in found))


def _place(location: str, experiment_id: str) -> str:
    return location.removesuffix(f"/{experiment_id}") if location.startswith("s3:") else location


def _reached_artifacts(place: str, uri: str) -> Reached:
    parts = urlsplit(place)
    if parts.scheme == "s3":
        return reached(_ARTIFACTS, place, lambda: _check_s3(place))
    if parts.scheme in ("", "file"):
        folder = Path(unquote(parts.path))
        return reached(_ARTIFACTS, str(folder), lambda: check_folder(folder, _ARTIFACTS))
    return reached(_ARTIFACTS, without_secrets(place), lambda: _check_by_mlflow(place, uri))


def _check_s3(place: str) -> None:
    """With the settings that MLflow's own client of S3 takes from the environment."""
    style = os.environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "auto")
    arguments = {
        "endpoint_url": os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
        "verify": False if os.environ.get("MLFLOW_S3_IGNORE_TLS", "").lower() == "true" else None,
    }
    check_bucket(place, _ARTIFACTS, _S3_VARIABLES, arguments, {"addressing_style": style})


def _check_by_mlflow(place: str, uri: str) -> None:
    """Any other place, for example `mlflow-artifacts:`, behind the server."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with tempfile.TemporaryDirectory(prefix="symbio-reach-") as folder:
        file = Path(folder) / f".symbio-reach-{uuid.uuid4().hex}"
        file.write_text("symbio reach\n")
        try:
            repository = get_artifact_repository(place, tracking_uri=uri)
            repository.log_artifact(str(file))
            repository.delete_artifacts(file.name)
        except Exception as error:
            what = f"{without_secrets(place)} ({_ARTIFACTS}) cannot be written"
            raise failed_check(error, what, uri, _STORE_VARIABLES) from error
