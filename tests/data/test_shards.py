"""Shards against tar readers that are not ours, and against damage."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from symbio.data.shard_writer import INDEX, FinishedShard, ShardWriter
from symbio.data.shards import Shards
from symbio.errors import SymbioError


@pytest.fixture
def members() -> dict[str, dict[str, bytes]]:
    rng = np.random.default_rng(0)
    sizes = [0, 1, 511, 512, 513, 70_000]
    return {
        f"room-{i}": {"image.png": rng.bytes(size), "depth.png": rng.bytes(size + 1)}
        for i, size in enumerate(sizes)
    }


@pytest.fixture
def folder(tmp_path: Path, members: dict[str, dict[str, bytes]]) -> Path:
    writer = ShardWriter(tmp_path, shard_bytes=60_000)
    for i, (key, parts) in enumerate(members.items()):
        writer.add("train" if i < 5 else "test", key, parts, {"place": i})
    writer.close({"dataset": "nyu"})
    return tmp_path


def test_reads_what_was_written(folder: Path, members: dict[str, dict[str, bytes]]) -> None:
    shards = Shards(folder)
    assert {key: shards.read(key) for key in shards.keys()} == members  # noqa: SIM118
    assert shards.splits == {"train": [f"room-{i}" for i in range(5)], "test": ["room-5"]}
    assert shards.info("room-3") == {"place": 3}
    assert shards.read_member("room-3", "none.png") is None


def test_other_tar_readers_read_it(folder: Path, members: dict[str, dict[str, bytes]]) -> None:
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.tar")):
        subprocess.run(["tar", "tf", path], check=True, capture_output=True)
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    assert found == {
        f"{key}.{ending}": data for key, parts in members.items() for ending, data in parts.items()
    }


def test_a_full_shard_is_followed_by_another(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, shard_bytes=2048)
    for i in range(4):
        writer.add("train", f"f{i}", {"image.png": bytes(3000)}, {})
    writer.close({})
    assert sorted(p.name for p in tmp_path.glob("*.tar")) == [
        f"train-{i:05d}.tar" for i in range(4)
    ]
    assert len(Shards(tmp_path).read("f3")["image.png"]) == 3000


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damage_is_refused_and_the_shard_named(folder: Path, damage: str) -> None:
    path = folder / "train-00000.tar"
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(data[:-512])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.unlink()
    with pytest.raises(SymbioError, match=r"train-00000\.tar"):
        Shards(folder)


def test_missing_index_is_said(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match=INDEX):
        Shards(tmp_path)


@pytest.mark.parametrize("key", ["../up", "a/b", "", "a\nb", "ä"])
def test_keys_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(SymbioError, match="frame key"):
        ShardWriter(tmp_path).add("train", key, {}, {})


def test_same_key_twice_is_refused(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path)
    writer.add("train", "a", {"x": b""}, {})
    with pytest.raises(SymbioError, match="twice"):
        writer.add("test", "a", {"x": b""}, {})


def test_digest_tells_data_apart(tmp_path: Path) -> None:
    digests = []
    for name, data in [("a", b"1"), ("b", b"1"), ("c", b"2")]:
        folder = tmp_path / name
        folder.mkdir()
        writer = ShardWriter(folder)
        writer.add("train", "f", {"x": data}, {})
        writer.close({})
        digests.append(Shards(folder).digest())
    assert digests[0] == digests[1] != digests[2]


def test_processes_that_share_the_hashing_miss_no_shard(folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.tar"))
    assert len(names) == 2
    for name in names:
        path = folder / name
        data = path.read_bytes()
        path.write_bytes(data[:600] + bytes([data[600] ^ 1]) + data[601:])
        found = []
        for index in range(2):
            try:
                Shards(folder, (index, 2))
            except SymbioError as error:
                found.append(str(error))
        (problem,) = found
        assert name in problem
        path.write_bytes(data[:-1])
        for index in range(2):
            with pytest.raises(SymbioError, match=f"{name}.*truncated"):
                Shards(folder, (index, 2))
        path.write_bytes(data)
    for index in range(2):
        Shards(folder, (index, 2))


def test_crc32_of_a_frame_is_that_of_its_span_in_the_tar(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    for frame in index["frames"].values():
        data = (folder / index["shards"][frame["shard"]]["file"]).read_bytes()
        places = frame["members"].values()
        start, end = min(at for at, _ in places), max(at + size for at, size in places)
        assert zlib.crc32(data[start:end]) == frame["crc32"]


def test_a_writer_goes_on_where_another_stopped(
    tmp_path: Path, folder: Path, members: dict[str, dict[str, bytes]]
) -> None:
    finished: list[FinishedShard] = []
    (tmp_path / "again").mkdir()
    first = ShardWriter(tmp_path / "again", 60_000, finished.append)
    for i, (key, parts) in enumerate(members.items()):
        first.add("train" if i < 5 else "test", key, parts, {"place": i})
    expected = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert [shard.row["file"] for shard in finished] == ["train-00000.tar"]
    second = ShardWriter(tmp_path / "again", 60_000)
    second.adopt(finished[0])
    with pytest.raises(SymbioError, match="twice"):
        second.add("test", "room-0", {}, {})
    second.add("test", "room-5", members["room-5"], {"place": 5})
    second.close({"dataset": "nyu"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == expected


def test_a_shard_is_the_tar_that_the_standard_library_writes(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path)
    data = {"depth.png": bytes(700), "image.png": b"x" * 1024}
    writer.add("test", "f", data, {})
    writer.close({})
    with tarfile.open(tmp_path / "plain.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for ending, content in data.items():
            member = tarfile.TarInfo(f"f.{ending}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert (tmp_path / "test-00000.tar").read_bytes() == (tmp_path / "plain.tar").read_bytes()
