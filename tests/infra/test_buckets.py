"""The S3 store as compose starts it, and infra/images/buckets.py, with a real SeaweedFS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.ports import free_ports
from tests.infra.files import ROOT, compose

KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "s3cr/t+x"}
READER = {"S3_READER_KEY_ID": "somebody", "S3_READER_SECRET": 'r"d\\r'}
CONFIG = "-s3.config=/etc/seaweedfs/identities.json"
INNER = ("master.port", "volume.port", "filer.port")


def plain() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def store(folder: Path, keys: Mapping[str, str]) -> Iterator[str]:
    """The command of compose.yaml, in another folder and on other ports; yields its URL."""
    service = compose()["services"]["s3"]
    port, *inner = free_ports(8)
    parts = (*INNER, *(f"{part}.port.grpc" for part in ("master", "volume", "filer", "s3")))
    moved = {"-dir=/data": f"-dir={folder}", "-s3.port=8333": f"-s3.port={port}"}
    moved[CONFIG] = f"-s3.config={folder}/identities.json"
    command = [moved.get(flag, flag) for flag in service["command"]]
    command += [f"-{name}={number}" for name, number in zip(parts, inner, strict=True)]
    # Only on this machine, and for a test's few files.
    command = [flag.replace("0.0.0.0", "127.0.0.1") for flag in command]
    folder.mkdir()
    if keys:
        script = str(ROOT / "infra" / "images" / "identities.py")
        made = [sys.executable, script, str(folder / "identities.json")]
        subprocess.run(made, env={**plain(), **keys}, check=True, timeout=30)
        assert (folder / "identities.json").stat().st_mode & 0o777 == 0o600
    else:
        command.remove(moved[CONFIG])
    weed = Path(sys.executable).with_name("weed")
    process = subprocess.Popen(
        [str(weed), *command],
        env=plain(),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # What the health check asks.
        path = service["healthcheck"]["test"][-1].removeprefix("http://127.0.0.1:8333")
        until = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}{path}"):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        # Asked to stop, it waits for connections to itself; nothing here has to be kept.
        process.kill()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def make(url: str, keys: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = compose()["services"]["buckets"]["command"]
    environment = {
        **plain(), **keys, "AWS_ENDPOINT_URL_S3": url, "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *command[1:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_buckets_are_made_once_and_only_for_who_has_the_keys(tmp_path: Path) -> None:
    with store(tmp_path / "s3", KEYS | READER) as url:
        first, second = make(url, KEYS), make(url, KEYS)
        assert first.returncode == second.returncode == 0, first.stderr
        assert first.stdout.count(": made") == second.stdout.count(": was there") == 2
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1",
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        names = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        assert names == {"symbio-data", "symbio-mlflow"}
        reader = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1",
            aws_access_key_id=READER["S3_READER_KEY_ID"],
            aws_secret_access_key=READER["S3_READER_SECRET"],
        )  # fmt: skip
        client.put_object(Bucket="symbio-data", Key="a", Body=b"x")
        assert reader.get_object(Bucket="symbio-data", Key="a")["Body"].read() == b"x"
        with pytest.raises(ClientError, match="AccessDenied"):
            reader.put_object(Bucket="symbio-data", Key="a", Body=b"y")
        wrong = make(url, KEYS | {"AWS_SECRET_ACCESS_KEY": "wrong"})
        assert wrong.returncode == 2
        assert url in wrong.stderr
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in wrong.stdout + wrong.stderr
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{url}/symbio-data", timeout=5)


def test_a_store_that_lets_anybody_in_is_refused(tmp_path: Path) -> None:
    with store(tmp_path / "s3", {}) as url:
        done = make(url, KEYS)
    assert done.returncode == 2, done.stdout
    assert "lets anybody in" in done.stderr


def test_keys_that_are_not_set_are_named() -> None:
    done = make("http://127.0.0.1:9", {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"})
    assert done.returncode == 2
    assert "AWS_SECRET_ACCESS_KEY" in done.stderr
    assert "Traceback" not in done.stderr
