"""Artifacts of runs in S3: whole, in parts, and through outages."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from symbio.reach.transfer import push
from symbio.tracking import open_store
from tests.embedded_store import put_store
from tests.reach.object_store import ObjectStore
from tests.reach.proxy import CUT, UNAVAILABLE, Proxy
from tests.reach.small_project import make_small_project

SIZE = 20 << 20
PART = 8 << 20
"""boto3's size of a part, and from where on it makes parts."""


@pytest.fixture
def run(tmp_path: Path, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run whose artifacts go to the bucket through the proxy."""
    for name in ("AWS_RETRY_MODE", "AWS_MAX_ATTEMPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", proxy.url)
    put_store(tmp_path)
    client = open_store(tmp_path)
    experiment = client.create_experiment("symbio-nyu", f"s3://{bucket}/1")
    return str(client.create_run(experiment).info.run_id)


def log_big_file(root: Path, run: str) -> str:
    """Log 20 MiB of noise; their SHA-256."""
    data = os.urandom(SIZE)
    (root / "weights.safetensors").write_bytes(data)
    open_store(root).log_artifact(run, str(root / "weights.safetensors"), "model")
    return hashlib.sha256(data).hexdigest()


def check_stored(store: ObjectStore, bucket: str, sha256: str) -> None:
    (key,) = store.objects(bucket, "1/")
    found = store.client().get_object(Bucket=bucket, Key=key)
    assert hashlib.sha256(found["Body"].read()).hexdigest() == sha256
    # S3's tag of an object in parts ends in their number.
    assert found["ETag"].strip('"').endswith(f"-{-(-SIZE // PART)}")


@pytest.mark.slow
def test_an_outage_in_the_middle_of_a_big_file(
    tmp_path: Path, run: str, proxy: Proxy, store: ObjectStore, bucket: str
) -> None:
    proxy.fail(UNAVAILABLE, seconds=4, only=lambda head: b"partNumber=" in head)
    sha256 = log_big_file(tmp_path, run)
    assert proxy.seen[UNAVAILABLE] >= 6
    check_stored(store, bucket, sha256)
    fetched = open_store(tmp_path).download_artifacts(run, "model/weights.safetensors")
    assert hashlib.sha256(Path(fetched).read_bytes()).hexdigest() == sha256


@pytest.mark.slow
def test_half_a_minute_without_the_store(
    tmp_path: Path,
    run: str,
    proxy: Proxy,
    store: ObjectStore,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", f"s3://{bucket}/dvc")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    project = make_small_project(tmp_path / "project", "one")
    failures: list[BaseException] = []

    def push_meanwhile() -> None:
        try:
            push(project)
        except BaseException as error:
            failures.append(error)

    proxy.fail(UNAVAILABLE, seconds=30)
    begun = time.monotonic()
    pushing = threading.Thread(target=push_meanwhile)
    pushing.start()
    sha256 = log_big_file(tmp_path, run)
    pushing.join()
    assert time.monotonic() - begun > 30
    assert failures == []
    check_stored(store, bucket, sha256)
    assert len(store.objects(bucket, "dvc/files/md5/")) == 8


def test_connections_that_are_cut(
    tmp_path: Path, run: str, proxy: Proxy, store: ObjectStore, bucket: str
) -> None:
    proxy.fail(CUT, requests=4)
    sha256 = log_big_file(tmp_path, run)
    assert proxy.seen[CUT] == 4
    check_stored(store, bucket, sha256)


def test_users_settings_stay_and_every_wait_of_boto3_has_a_limit() -> None:
    """In a process of its own: boto3's default session is made once."""
    code = (
        "import os; from pathlib import Path; from symbio.tracking import open_store\n"
        "open_store(Path('.')); import boto3; config = boto3.client('s3').meta.config\n"
        "print(config.connect_timeout, config.read_timeout, config.retries['mode'],"
        " config.retries['total_max_attempts'])"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    for given, expected in (
        ({}, "10 60 standard 14"),
        ({"AWS_MAX_ATTEMPTS": "2"}, "10 60 standard 2"),
    ):
        command = [sys.executable, "-c", code]
        told = subprocess.check_output(command, env={**environment, **given}, text=True)
        assert told.strip() == expected
