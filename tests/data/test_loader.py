"""The global batch of a step is the same whatever the ranks, the resume and the threads."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from symbio.data.dataset import FrameDataset
from symbio.data.frame import Batch, stack
from symbio.data.loader import GlobalBatches
from symbio.data.order import epoch_of, frame_at
from symbio.data.shards import Shards
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


def test_frame_is_what_is_stored(shards: tuple[Shards, Shards]) -> None:
    params = tiny_params()
    frames = FrameDataset(shards[0], None, "train", (96, 128), params.nyu.depth_range)
    frame = frames[3]
    rng = np.random.default_rng([3, len("train")])
    depth = rng.integers(500, 9500, (96, 128)) * (rng.random((96, 128)) > 0.3)
    assert np.abs(frame.depth[0].numpy() - depth / 1000).max() < 1e-6
    assert frame.keys == ("train-3",)
    assert frame.image.shape == (1, 3, 96, 128)


def test_depth_out_of_range_is_no_measurement(shards: tuple[Shards, Shards]) -> None:
    depth = FrameDataset(shards[0], None, "train", (96, 128), (2.0, 5.0))[0].depth
    measured = depth[depth > 0]
    assert measured.numel()
    assert measured.min() > 2.0
    assert measured.max() < 5.0


def test_missing_split_and_missing_labels_are_said(
    shards: tuple[Shards, Shards], tmp_path: Path
) -> None:
    with pytest.raises(SymbioError, match="split 'test' has no frames"):
        FrameDataset(shards[0], None, "test", (96, 128), (0.1, 10.0))
    _, few = write_prepared(tmp_path, {"train": 3})
    with pytest.raises(SymbioError, match="no pseudo-label for 8 frames.*run `symbio label nyu`"):
        GlobalBatches(shards[0], few, tiny_params(), "nyu")
