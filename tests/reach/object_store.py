"""A real S3 store for tests: SeaweedFS on free ports of the loopback, with one pair of keys."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY, SECRET = "symbio-test", "not-a-real-secret-8f21"
_START_LIMIT_S = 60.0


@dataclass(frozen=True)
class ObjectStore:
    """Where the store listens; its one user may do everything but create buckets by writing."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """A boto3 client that knows no environment."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def objects(self, bucket: str, prefix: str = "") -> dict[str, int]:
        """Key and size in bytes of what a bucket holds."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        listed = [one for page in pages for one in page.get("Contents", [])]
        return {one["Key"]: one["Size"] for one in listed if one["Key"].startswith(prefix)}


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Run the store with its files in `folder`."""
    services = ("master", "volume", "filer", "s3")
    names = [f"{one}.port{kind}" for one in services for kind in ("", ".grpc")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    folder.mkdir(parents=True)
    identity = {
        "name": "symbio",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    flags = [f"-{name}={port}" for name, port in ports.items()]
    weed = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert weed is not None, "the dependencies of the platform are installed by `make setup`"
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [
                weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                "-filer", "-s3", f"-s3.config={config}", "-s3.iam=false",
                "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
                "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=500",
                "-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock",
                "-volume.preStopSeconds=0", *flags,
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            # Names of sockets are relative: a path of more than 107 bytes is none for a socket.
            cwd=folder,
        )  # fmt: skip
    store = ObjectStore(ports["s3.port"])
    try:
        _wait(store, process, folder / "weed.log")
        yield store
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _wait(store: ObjectStore, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_LIMIT_S
    while True:
        assert process.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < until, log.read_text()[-4000:]
        if _answers(f"{store.url}/healthz") and _keeps_an_object(store.client()):
            return
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _keeps_an_object(client: Any) -> bool:
    """S3 answers before the part that holds the bytes has joined."""
    from botocore.exceptions import BotoCoreError, ClientError

    with contextlib.suppress(BotoCoreError, ClientError):
        if not client.list_buckets()["Buckets"]:
            client.create_bucket(Bucket="first")
        client.put_object(Bucket="first", Key="ready", Body=b"ready")
        return True
    return False
