"""The global batch of a step is the same whatever the ranks, the resume and the threads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.dataset import FrameDataset
from symbio.data.frame import Batch, stack
from symbio.data.host import HostBatch
from symbio.data.loader import GlobalBatches
from symbio.data.members import encode_depth, encode_image
from symbio.data.order import epoch_of, frame_at
from symbio.data.shards import Shards, ShardWriter
from symbio.errors import SymbioError
from tests.data.prepared import tiny_params, write_prepared


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Shards]:
    return write_prepared(tmp_path_factory.mktemp("data"), {"train": 11, "val": 2})


def _fields(batch: Batch) -> list[Tensor]:
    return [batch.image, batch.depth, batch.semantic, batch.confidence]


def _equal(a: Batch, b: Batch) -> bool:
    same = all(torch.equal(x, y) for x, y in zip(_fields(a), _fields(b), strict=True))
    return same and a.keys == b.keys


def _global_batch(shards: tuple[Shards, Shards], step: int, world: int, **changes: Any) -> Batch:
    """What all ranks see at `step`, in the global order."""
    params = tiny_params(**{"nearfarmix.probability": 0.6, "train.micro_batch": 2} | changes)
    turns: list[list[Batch]] = []
    for rank in range(world):
        loader = GlobalBatches(*shards, params, "nyu", rank=rank, world=world)
        turns.append(loader.micro_batches(step))
        loader.close()
    return stack([batch for turn in zip(*turns, strict=True) for batch in turn])


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_batch_of_one(shards: tuple[Shards, Shards], world: int) -> None:
    for step in (0, 1, 5):
        assert _equal(_global_batch(shards, step, 1), _global_batch(shards, step, world))


def test_resume_in_mid_epoch_sees_what_an_undisturbed_run_sees(
    shards: tuple[Shards, Shards],
) -> None:
    loader = GlobalBatches(*shards, tiny_params(), "nyu")
    undisturbed = [stack(loader.micro_batches(step)) for step in range(4)]
    loader.close()
    resumed = GlobalBatches(*shards, tiny_params(), "nyu", threads=3)
    assert _equal(stack(resumed.micro_batches(3)), undisturbed[3])
    assert _equal(stack(resumed.micro_batches(1)), undisturbed[1])
    resumed.close()


def test_every_frame_comes_once_an_epoch(shards: tuple[Shards, Shards]) -> None:
    params = tiny_params(**{"nearfarmix.mix": "none", "train.batch": 1, "train.micro_batch": 1})
    loader = GlobalBatches(*shards, params, "nyu")
    keys = [loader.micro_batches(step)[0].keys[0] for step in range(2 * loader.num_frames)]
    loader.close()
    first, second = keys[: loader.num_frames], keys[loader.num_frames :]
    assert Counter(first) == Counter(second) == Counter(shards[0].splits["train"])
    assert first != second


def test_mixing_happens_at_its_probability(shards: tuple[Shards, Shards]) -> None:
    for probability, low, high in [(0.0, 0, 0), (1.0, 80, 80), (0.5, 25, 55)]:
        params = tiny_params(**{"nearfarmix.probability": probability})
        loader = GlobalBatches(*shards, params, "nyu")
        keys = [k for step in range(10) for b in loader.micro_batches(step) for k in b.keys]
        loader.close()
        assert low <= sum("+" in key for key in keys) <= high


def test_seed_changes_the_batch(shards: tuple[Shards, Shards]) -> None:
    assert not _equal(_global_batch(shards, 0, 1), _global_batch(shards, 0, 1, seed=8))


def test_ranks_that_do_not_divide_the_batch_are_refused(shards: tuple[Shards, Shards]) -> None:
    with pytest.raises(SymbioError, match=r"train\.batch \(8\).*train\.micro_batch \(4\) x ranks"):
        GlobalBatches(*shards, tiny_params(), "nyu", rank=0, world=3)


def test_order_is_a_permutation_an_epoch() -> None:
    for epoch in range(3):
        seen = [frame_at(5, 17, epoch * 17 + i) for i in range(17)]
        assert sorted(seen) == list(range(17))
        assert {epoch_of(epoch * 17 + i, 17) for i in range(17)} == {epoch}


def _read(
    frames: FrameDataset, index: int, depth_range: tuple[float, float] = (0.1, 10.0)
) -> Batch:
    """One whole frame."""
    host = HostBatch.empty(1, frames.image_size)
    frames.read(index, (0, frames.image_size[0], 0, frames.image_size[1]), host, 0)
    return host.to("cpu", frames.depth_scale, depth_range)


def test_frame_is_what_is_stored(shards: tuple[Shards, Shards]) -> None:
    frame = _read(FrameDataset(shards[0], None, "train", (96, 128)), 3)
    rng = np.random.default_rng([3, len("train")])
    depth = rng.integers(500, 9500, (96, 128)) * (rng.random((96, 128)) > 0.3)
    assert np.abs(frame.depth[0].numpy() - depth / 1000).max() < 1e-6
    assert frame.keys == ("train-3",)
    assert frame.image.shape == (1, 3, 96, 128)


def test_depth_out_of_range_is_no_measurement(shards: tuple[Shards, Shards]) -> None:
    depth = _read(FrameDataset(shards[0], None, "train", (96, 128)), 0, (2.0, 5.0)).depth
    measured = depth[depth > 0]
    assert measured.numel()
    assert measured.min() > 2.0
    assert measured.max() < 5.0


def test_missing_split_and_missing_labels_are_said(
    shards: tuple[Shards, Shards], tmp_path: Path
) -> None:
    with pytest.raises(SymbioError, match="split 'test' has no frames"):
        FrameDataset(shards[0], None, "test", (96, 128))
    _, few = write_prepared(tmp_path, {"train": 3})
    with pytest.raises(SymbioError, match="no pseudo-label for 8 frames.*run `symbio label nyu`"):
        GlobalBatches(shards[0], few, tiny_params(), "nyu")


def test_windows_are_those_of_whole_frames(shards: tuple[Shards, Shards]) -> None:
    """A set that is kept decoded and one of which only windows are decoded train alike."""
    changes = {
        "nyu.image_size": [96, 128],
        "train.augment.crop": [40, 56],
        "train.augment.rotation": 4.0,
        "train.micro_batch": 2,
        "nearfarmix.probability": 0.6,
    }
    params = tiny_params(**changes)
    kept = GlobalBatches(*shards, params, "nyu")
    whole = [stack(kept.micro_batches(step)) for step in range(3)]
    kept.close()
    loader = GlobalBatches(*shards, params, "nyu", threads=2, keep_bytes=0)
    for step in range(3):
        assert _equal(stack(loader.micro_batches(step)), whole[step])
    assert whole[0].image.shape == (8, 3, 40, 56)
    loader.close()


@pytest.mark.parametrize("keep_bytes", [0, 2**30])
def test_windows_lie_in_the_view_of_the_network(tmp_path: Path, keep_bytes: int) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (375, 1242, 3), dtype=np.uint8)
    depth = rng.integers(0, 65536, (375, 1242)).astype(np.uint16)
    writer = ShardWriter(tmp_path)
    members = {"image.map": encode_image(image)[0], "depth.map": encode_depth(depth)[0]}
    writer.add("train", "a", members, {"height": 375, "width": 1242})
    writer.close({"dataset": "kitti", "depth_scale": 256})

    def label(_: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return image[..., 0], image[..., 1]

    frames = FrameDataset(Shards(tmp_path), label, "train", (352, 1216), keep_bytes)
    host = HostBatch.empty(2, (40, 50))
    frames.read(0, (10, 50, 600, 650), host, 1)
    # The benchmark crop of a frame of 375x1242 begins at row 23 and column 13.
    rows, columns = slice(33, 73), slice(613, 663)
    assert np.array_equal(host.image[1].numpy(), image[rows, columns].transpose(2, 0, 1))
    assert np.array_equal(host.depth[1].numpy(), depth[rows, columns])
    assert np.array_equal(host.semantic[1].numpy(), image[rows, columns, 0])
    assert np.array_equal(host.confidence[1].numpy(), image[rows, columns, 1])
    assert host.keys == ["", "a"]


def test_every_stored_depth_becomes_the_nearest_float() -> None:
    host = HostBatch.empty(1, (256, 256))
    host.depth.copy_(torch.arange(65536).view(1, 256, 256).to(torch.uint16))
    for scale, low, high in [(1000, 0.001, 10.0), (256, 0.001, 80.0)]:
        metres = host.to("cpu", scale, (low, high)).depth.flatten().numpy()
        exact = (np.arange(65536) / scale).astype(np.float32)
        assert np.array_equal(metres, np.where((exact > low) & (exact < high), exact, 0))


def test_frames_are_decoded_ahead_within_bounds(
    shards: tuple[Shards, Shards], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = FrameDataset.read

    def noted(self: FrameDataset, index: int, *rest: Any) -> None:
        read.append(index)
        original(self, index, *rest)

    monkeypatch.setattr(FrameDataset, "read", noted)
    params = tiny_params(**{"nearfarmix.mix": "none"})
    a_step = HostBatch.bytes_of(2 * params.train.batch, (48, 64))
    for allowed, steps in [(0, 1), (2 * a_step, 2), (100 * a_step, 4)]:
        read.clear()
        monkeypatch.setattr("symbio.data.loader._AHEAD_BYTES", allowed)
        loader = GlobalBatches(*shards, params, "nyu")
        loader.micro_batches(5)
        loader._pool.shutdown(wait=True)
        assert len(read) == (1 + steps) * params.train.batch


def test_a_broken_frame_is_named_by_the_step_that_needs_it(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path)
    for key in ("whole", "broken"):
        depth = encode_depth(np.ones((48, 64), np.uint16))[0]
        data = depth[:-5] if key == "broken" else depth
        image = encode_image(np.zeros((48, 64, 3), np.uint8))[0]
        info = {"height": 48, "width": 64}
        writer.add("train", key, {"image.map": image, "depth.map": data}, info)
    writer.close({"dataset": "nyu", "depth_scale": 1000})
    changes = {"train.batch": 1, "train.micro_batch": 1, "nearfarmix.mix": "none"}
    loader = GlobalBatches(Shards(tmp_path), None, tiny_params(**changes), "nyu")
    order = [frame_at(7, 2, position) for position in range(2)]
    if order == [0, 1]:
        assert loader.micro_batches(0)[0].keys == ("whole",)
    with pytest.raises(SymbioError, match=r"frame broken\.depth: truncated"):
        loader.micro_batches(order.index(1))
    loader.close()
