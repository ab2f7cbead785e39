"""Which MLflow store is used, and how it is opened."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.reach.settings import be_patient, limit_waiting

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "mlruns"
UI_PORT = 5000
_URI_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


def quiet() -> None:
    """Switch off telemetry and chatter; call it before the first `import mlflow`.

    Also lets no pickle be loaded, and gives up on an absent server within seconds: who calls
    either tries again later or tells the user (MLflow's own default blocks for four minutes).
    Artifacts in S3 are worth more patience: see `symbio.reach.settings`.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    be_patient()
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


def tracking_uri(root: Path) -> str:
    """MLFLOW_TRACKING_URI where it is set, else an SQLite file below `root`."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    return given or _embedded_uri(root)


def experiment_name(dataset: str) -> str:
    """Name of the experiment, and of the registered model, of a data set."""
    return f"symbio-{dataset}"


def open_store(root: Path) -> MlflowClient:
    """A client of the store; the embedded database is created on first use (about 7 s).

    Raises:
        mlflow.exceptions.MlflowException, or what its database driver raises: the store is away.
    """
    quiet()
    from mlflow import MlflowClient

    uri = tracking_uri(root)
    if not _is_embedded(root, uri):
        limit_waiting()
        return MlflowClient(uri, uri)
    # Two stages that start at once must not both create the tables.
    with locked(root / FOLDER / ".create.lock"):
        client = MlflowClient(uri, uri)
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def global_store(root: Path) -> Iterator[MlflowClient]:
    """Make the store MLflow's global one inside the block, for calls that know no other.

    MLflow writes its global URI into the environment; what stood there comes back.
    """
    import mlflow

    client, uri = open_store(root), tracking_uri(root)
    before = {name: os.environ.get(name) for name in _URI_VARIABLES}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield client
    finally:
        # Both None: MLflow asks the environment again.
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def experiment_id(client: MlflowClient, root: Path, name: str) -> str:
    """Id of the experiment called `name`, created when there is none.

    Raises:
        SymbioError: the experiment was deleted in the store.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, _artifact_location(root, name)))
        except MlflowException:
            # Somebody else has created it in between.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise SymbioError(
            f"MLflow experiment {name!r} is deleted in {tracking_uri(root)}; restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return str(found.experiment_id)


def ui_command(root: Path, host: str = "127.0.0.1", port: int = UI_PORT) -> list[str]:
    """The command that shows the embedded store in a browser.

    One worker and no job runner: the server starts in 10 s instead of 40 s.

    Raises:
        SymbioError: the store is a server (open its address), or holds nothing yet.
    """
    uri = tracking_uri(root)
    if uri.startswith(("http://", "https://")):
        raise SymbioError(f"MLFLOW_TRACKING_URI is a server: open {uri} in a browser")
    if _is_embedded(root, uri) and not (root / FOLDER / "mlflow.db").is_file():
        raise SymbioError(f"{root / FOLDER}: nothing has been tracked yet; train first")
    artifacts = (root / FOLDER / "artifacts").resolve().as_uri()
    return [
        "mlflow", "ui", "--backend-store-uri", uri, "--default-artifact-root", artifacts,
        "--host", host, "--port", str(port), "--workers", "1",
    ]  # fmt: skip


def open_ui(root: Path, port: int = UI_PORT) -> int:
    """Run the browser's server until Ctrl-C; returns its exit code.

    Raises:
        SymbioError: as `ui_command`, or the port is taken.
    """
    command = ui_command(root, port=port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SymbioError(f"port {port}: {error.strerror}; choose another --port") from error
    quiet()
    say(f"http://127.0.0.1:{port}/#/experiments (about 10 s; Ctrl-C ends it)")
    # The job runner would start seven more processes.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    # MLflow starts its server by a bare name.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.run([sys.executable, "-m", *command], env=environment).returncode
    return 0


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; waits for its turn, freed when a holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_embedded(root: Path, uri: str) -> bool:
    return uri == _embedded_uri(root)


def _embedded_uri(root: Path) -> str:
    # The database driver decodes percent signs and takes a question mark for a query.
    path = str(root.resolve() / FOLDER / "mlflow.db").replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{path}"


def _artifact_location(root: Path, name: str) -> str | None:
    """Below `mlruns/artifacts` for the embedded store; a server decides for itself."""
    if not _is_embedded(root, tracking_uri(root)):
        return None
    return (root / FOLDER / "artifacts" / name).resolve().as_uri()
