"""Checkpoints written beside training: what is written, what it costs, what goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.params import Params
from symbio.ranks.place import Place
from symbio.train.checkpoints import manifest
from symbio.train.checkpoints.checkpoint import folder_of, read_state, steps_in
from symbio.train.checkpoints.snapshot import Share, copied, torch_file
from symbio.train.records.status import read_status
from tests.train.faults import (
    fills_up,
    no_memory_at_save,
    signal_at,
    slow_disk,
    stopped_in_validation,
)
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained
from tests.train.test_bad_days import shards, tensors
from tests.train.test_ranks import RUN
from tests.train.test_resume import assert_same_run, metrics


def journal(root: Path) -> list[dict[str, Any]]:
    lines = (root / RUN / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def events(root: Path, name: str) -> list[dict[str, Any]]:
    return [record for record in journal(root) if record.get("event") == name]


def test_a_copy_shares_nothing_with_what_it_was_taken_from(tmp_path: Path) -> None:
    flat = torch.arange(1000.0)
    weight = flat[10:20].view(2, 5)
    state = OrderedDict(weight=weight, same=flat[10:20].view(2, 5), other=flat[10:20])
    state._metadata = {"": {"version": 2}}  # type: ignore[attr-defined]
    content = {"module": state, "groups": [{"lr": 0.1, "params": [0, 1]}], "size": weight.shape}
    copy = copied(content)
    assert type(copy["module"]) is OrderedDict
    assert copy["module"]._metadata == {"": {"version": 2}}
    assert copy["size"] == torch.Size([2, 5])
    expected = weight.clone()
    flat.zero_()
    content["groups"][0]["params"].append(2)
    state["late"] = flat
    assert torch.equal(copy["module"]["weight"], expected)
    assert copy["groups"] == [{"lr": 0.1, "params": [0, 1]}]
    assert list(copy["module"]) == ["weight", "same", "other"]
    # A view has memory of its own size, and one tensor named twice is still one.
    assert copy["module"]["weight"].untyped_storage().nbytes() == 40
    assert copy["module"]["same"].data_ptr() == copy["module"]["weight"].data_ptr()


def test_a_share_hashes_what_it_writes_and_keeps_the_first_failure(tmp_path: Path) -> None:
    share = Share(tmp_path)
    share.write("a.pt", torch_file({"x": torch.arange(100_000), "y": "z"}))
    share.write("b.bin", lambda file: file.write(b"b" * 3_000_000))
    for name in ("a.pt", "b.bin"):
        data = (tmp_path / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert share.entries[name] == {"bytes": len(data), "sha256": digest}
    assert torch.equal(torch.load(tmp_path / "a.pt")["x"], torch.arange(100_000))
    assert share.num_bytes == sum(entry["bytes"] for entry in share.entries.values())
    share.write("none/c", lambda file: file.write(b""))
    share.write("d", lambda file: file.write(b""))
    assert share.problem is not None
    assert share.problem.startswith(f"{tmp_path}/none/c: FileNotFoundError")
    assert not (tmp_path / "d").exists()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("quick"))
    trained(train_on(2, params_of(), root))
    return root


def params_of(**changed: Any) -> Params:
    return tiny_params(
        **{
            "steps": 6,
            "checkpoint_every": 2,
            "keep_checkpoints": 3,
            "validate_every": 6,
            "ema_decay": 0.9,
            **changed,
        }
    )


@pytest.mark.slow
def test_training_goes_on_while_a_slow_disk_is_written(quick: Path, tmp_path: Path) -> None:
    root = make_project(tmp_path)
    # Some hundred pieces: over a second a checkpoint, ten steps long.
    trained(train_on(2, params_of(), root, "auto", slow_disk, 0.005))
    assert steps_in(root / RUN) == steps_in(quick / RUN) == [6, 4, 2]
    for step in (2, 4, 6):
        assert manifest.problem_with(folder_of(root / RUN, step)) is None
        one, two = shards(quick, step), shards(root, step)
        assert one.keys() == two.keys()
        pairs = zip(tensors(one), tensors(two), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
        assert read_state(folder_of(root / RUN, step)).step == step
    records = journal(root)
    first = next(i for i, record in enumerate(records) if record.get("event") == "checkpoint")
    # Steps were made between the copy of step 2 and its name.
    assert max(record["step"] for record in records[:first] if "metrics" in record) > 2
    said = events(root, "checkpoint")
    assert [event["step"] for event in said] == [2, 4, 6]
    folder = folder_of(root / RUN, 2)
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = sum(path.stat().st_size for path in files if path.name != manifest.MANIFEST)
    for event in said:
        assert event["write_s"] > 0.5
        assert event["bytes"] == sizes
    assert_same_run(quick, root)


@pytest.mark.slow
def test_a_stop_waits_for_the_checkpoints_on_their_way(quick: Path, tmp_path: Path) -> None:
    root = make_project(tmp_path)
    ends = train_on(2, params_of(), root, "auto", stop_on_slow_disk)
    trained(ends, "preempted")
    assert steps_in(root / RUN) == [3, 2]
    status = read_status(root / RUN)
    assert status is not None
    assert status["checkpoint"] == 3
    trained(train_on(2, params_of(), root))
    assert_same_run(quick, root)


def stop_on_slow_disk(place: Place) -> None:
    slow_disk(place, 0.005)
    signal_at(place, 0, 2, signal.SIGTERM)


@pytest.mark.slow
def test_without_memory_for_a_copy_training_waits(quick: Path, tmp_path: Path) -> None:
    root = make_project(tmp_path)
    ends = train_on(2, params_of(), root, "auto", no_memory_at_save, 1, 1)
    trained(ends)
    assert "no memory to copy the checkpoint of step 2: training waits" in ends[0].said
    assert steps_in(root / RUN) == [6, 4, 2]
    waited = events(root, "checkpoint")[0]
    assert waited["stall_s"] > waited["write_s"]
    one, two = shards(quick, 2), shards(root, 2)
    assert all(torch.equal(*pair) for pair in zip(tensors(one), tensors(two), strict=True))
    assert_same_run(quick, root)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "symbio-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_under_the_thread_costs_that_checkpoint(small_disk: Path) -> None:
    root = make_project(small_disk)
    params = params_of(keep_checkpoints=1, ema_decay=0.0)
    filler = str(small_disk / "filler")
    ends = train_on(2, params, root, "auto", fills_up, 2, filler)
    trained(ends)
    assert "CHECKPOINT of step 4 NOT written, training goes on" in ends[0].said
    assert "No space left on device" in ends[0].said
    assert [event["step"] for event in events(root, "checkpoint")] == [2, 6]
    assert [event["step"] for event in events(root, "checkpoint failed")] == [4]
    assert steps_in(root / RUN) == [6]
    assert manifest.problem_with(folder_of(root / RUN, 6)) is None
    assert not list((root / RUN).glob(".step-*"))


@pytest.mark.slow
def test_a_stop_during_validation_is_obeyed_within_a_batch(tmp_path: Path) -> None:
    splits = {"train": 6, "val": 10, "test": 2}
    params = params_of(steps=3, validate_every=2, micro_batch=1, ema_decay=0.0)
    whole, root = make_project(tmp_path / "w", splits), make_project(tmp_path / "r", splits)
    trained(train_on(2, params, whole))
    # The batches of rank 0 and rank 1 are five each: the second is not the last.
    trained(train_on(2, params, root, "auto", stopped_in_validation, 1, 2), "preempted")
    state = read_state(folder_of(root / RUN, 2))
    assert (state.step, state.validated) == (2, 0)
    assert not any("val/abs_rel" in record for record in metrics(root))
    # Again, in the validation that is owed at the very start.
    trained(train_on(2, params, root, "auto", stopped_in_validation, 0, 1), "preempted")
    trained(train_on(2, params, root))
    assert_same_run(whole, root)


@pytest.mark.slow
def test_a_broken_shard_found_by_one_rank_ends_all_with_its_name(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    (broken,) = (root / "data" / "pseudo" / "nyu").glob("val-*.tar")
    data = bytearray(broken.read_bytes())
    data[700] ^= 1
    broken.write_bytes(data)
    for end in train_on(2, params_of(), root, "auto", as_on_one_host):
        assert end.error is not None
        assert end.error.startswith(f"SymbioError: {broken}: shard does not match its SHA-256")


def as_on_one_host(place: Place) -> None:
    os.environ["LOCAL_WORLD_SIZE"] = str(place.world)
