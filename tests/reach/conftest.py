from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reach.object_store import KEY, SECRET, ObjectStore, object_store
from tests.reach.proxy import Proxy, proxy_to


@pytest.fixture(autouse=True)
def no_credentials_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3's default session keeps the credentials that it found first in this process."""
    import boto3

    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("s3") / "store") as running:
        yield running


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    """A new bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    store.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def proxy(store: ObjectStore) -> Iterator[Proxy]:
    with proxy_to(store.port) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_settings_but_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's variables nor its configuration files; the right keys."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MLFLOW_TRACKING", "MLFLOW_S3", "SYMBIO_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
