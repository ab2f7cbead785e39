"""Frames read out of a real S3 store that DVC filled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.stream.run import run
from tests.data.prepared import write_prepared
from tests.reach.object_store import ObjectStore
from tests.reach.proxy import CUT, Proxy
from tests.reach.small_project import dvc, make_small_project

PIPELINE = """\
stages:
  prepare:
    cmd: mkdir -p data/prepared && cp -r made/prepared data/prepared/nyu
    outs: [data/prepared/nyu]
  label:
    cmd: mkdir -p data/pseudo && cp -r made/pseudo data/pseudo/nyu
    outs: [data/pseudo/nyu]
"""


def small_disk(project: Path, folder: Path) -> Path:
    """A checkout on another host: the description and dvc.lock, no data."""
    make_small_project(folder)
    shutil.copy(project / "dvc.lock", folder)
    return folder


@pytest.mark.slow
def test_frames_come_from_the_store_once_and_are_checked(
    store: ObjectStore,
    bucket: str,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", f"s3://{bucket}/dvc")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    project = make_small_project(tmp_path / "project")
    (project / "dvc.yaml").write_text(PIPELINE)
    prepared, pseudo = write_prepared(project / "made", {"train": 20, "test": 4})
    (prepared.folder / "report.html").write_text("<p>a report</p>")
    dvc(project, "repro")
    with pytest.raises(SymbioError, match=r"cannot be read .*was the data pushed\?"):
        run("nyu", small_disk(project, tmp_path / "early"))
    dvc(project, "remote", "add", "--default", "s3", f"s3://{bucket}/dvc")
    dvc(project, "push")

    root = small_disk(project, tmp_path / "other")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    run("nyu", root)
    files = sorted(path.name for path in (root / "data/prepared/nyu").iterdir())
    assert files == ["index.json", "remote.json", "report.html"]
    for kind, whole in (("prepared", prepared), ("pseudo", pseudo)):
        streamed = Shards(root / "data" / kind / "nyu")
        assert streamed.digest() == whole.digest()
        proxy.fail(CUT, seconds=0.2)
        for key in list(whole.keys()):
            assert streamed.read(key) == whole.read(key)
        assert streamed.read_member(key, "no.such") is None

    # Everything is here now: the store may go.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    again = Shards(root / "data/prepared/nyu")
    assert all(again.read(key) == prepared.read(key) for key in list(prepared.keys()))

    # A byte that changed in the store is told, and never trained on.
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    shutil.rmtree(root / "data/.streamed")
    where = json.loads((root / "data/prepared/nyu/remote.json").read_text())
    place = f"dvc/{where['objects']['test-00000.tar']}"
    offset = 600
    shard = bytearray((prepared.folder / "test-00000.tar").read_bytes())
    shard[offset] ^= 1
    store.client().put_object(Bucket=bucket, Key=place, Body=bytes(shard))
    damaged = Shards(root / "data/prepared/nyu")
    with pytest.raises(SymbioError, match=r"frame test-0 has other bytes than its checksum"):
        damaged.read("test-0")
    assert damaged.read("test-1") == prepared.read("test-1")


def test_a_remote_that_is_no_bucket_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMBIO_DVC_REMOTE", str(tmp_path / "folder"))
    with pytest.raises(SymbioError, match="needs a DVC remote in S3"):
        run("nyu", tmp_path)
