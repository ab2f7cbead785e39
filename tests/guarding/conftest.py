"""A registered version whose package lies in a folder that a test can poison."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from symbio.model.manifest import write_manifest
from symbio.tracking import open_store
from symbio.tracking.fetched import MANIFEST_TAG
from symbio.tracking.models import register_version, tag_version
from symbio.tracking.store import experiment_id, global_store
from tests.embedded_store import put_store
from tests.tiny_model import put_model

NAME = "symbio-nyu"
ADDRESS = f"models:/{NAME}/1"


@dataclass(frozen=True)
class Registered:
    """Version 1 of symbio-nyu in an embedded store."""

    root: Path
    package: Path
    """Where the store keeps its files."""

    @property
    def weights(self) -> Path:
        return self.package / "artifacts" / "network" / "weights.safetensors"

    def vouch(self) -> None:
        """Let the registry vouch for the package as it is now, as a liar with its keys would."""
        self.tag(write_manifest(self.package))

    def tag(self, sha256: str) -> None:
        version = open_store(self.root).get_model_version(NAME, "1")
        tag_version(self.root, version, {MANIFEST_TAG: sha256})


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def _once(tmp_path_factory: pytest.TempPathFactory) -> Registered:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return register_package(tmp_path_factory.mktemp("registered") / "a project")


@pytest.fixture
def registered(_once: Registered, tmp_path: Path) -> Iterator[Registered]:
    """As it was registered; what a test changes is put right after it."""
    shutil.copytree(_once.package, tmp_path / "pristine")
    yield _once
    shutil.rmtree(_once.package)
    shutil.copytree(tmp_path / "pristine", _once.package)
    _once.vouch()


def write_package(folder: Path) -> str:
    """A package with a network and some code; the SHA-256 of its manifest."""
    put_model(folder / "artifacts" / "network")
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "code" / "symbio").mkdir(parents=True)
    (folder / "code" / "symbio" / "__init__.py").write_text("one = 1\n")
    return write_manifest(folder)


def register_package(root: Path) -> Registered:
    put_store(root)
    log_package(root)
    client = open_store(root)
    source = client.get_model_version(NAME, "1").source
    location = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    return Registered(root, Path(location.removeprefix("file://").replace("%20", " ")))


def log_package(root: Path) -> str:
    """Register a package as version 1 in the store of `root`; its manifest's SHA-256."""
    sha256 = write_package(root / "package")
    client = open_store(root)
    experiment = experiment_id(client, root, NAME)
    run_id = client.create_run(experiment).info.run_id
    with global_store(root):
        model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
        client.log_model_artifacts(model.model_id, str(root / "package"))
    client.finalize_logged_model(model.model_id, "READY")
    register_version(root, NAME, f"models:/{model.model_id}", run_id, {MANIFEST_TAG: sha256}, "")
    return sha256
