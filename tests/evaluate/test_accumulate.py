from __future__ import annotations

import math
import multiprocessing
import socket
from typing import Any

import pytest
import torch
import torch.distributed as dist

from symbio.errors import SymbioError
from symbio.evaluate.accumulate import DepthScores, SemanticScores
from symbio.evaluate.metrics import depth_sums
from symbio.evaluate.protocol import PROTOCOLS
from symbio.evaluate.ranges import RangeScores, range_edges

PER_IMAGE, POOLED = PROTOCOLS["kitti-eigen-garg-kb"], PROTOCOLS["nyu-multitask"]


def frames(count: int) -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """Keys, predictions and truths (count, 6, 7), each with another number of holes."""
    generator = torch.Generator().manual_seed(3)
    truth = 1 + 60 * torch.rand(count, 6, 7, generator=generator)
    prediction = truth * (0.3 * torch.randn(count, 6, 7, generator=generator)).exp()
    for frame in range(count):
        truth[frame].view(-1)[: 3 * frame] = 0.0
    return [f"frame-{number}" for number in range(count)], prediction, truth


def scored(keys: list[str], prediction: torch.Tensor, truth: torch.Tensor, **kwargs: Any) -> Any:
    scores = DepthScores(kwargs.get("protocol", PER_IMAGE))
    scores.add(keys, depth_sums(prediction, truth, truth > 0))
    return scores


@pytest.mark.parametrize("protocol", [PER_IMAGE, POOLED], ids=lambda p: p.aggregation)
@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_any_number_of_ranks_gives_the_same_bits(protocol: Any, world: int) -> None:
    keys, prediction, truth = frames(7)  # 7 frames: the shares of 2, 3 and 4 ranks are uneven.
    whole = scored(keys, prediction, truth, protocol=protocol).result()
    merged = DepthScores(protocol)
    for rank in reversed(range(world)):
        share = slice(rank, None, world)
        part = scored(keys[share], prediction[share], truth[share], protocol=protocol)
        merged.merge(part)
    assert merged.result() == whole
    assert whole["num_images_scored"] == 7


def test_mean_of_images_and_pooled_by_hand() -> None:
    truth = torch.tensor([[[1.0, 1.0, 1.0, 1.0]], [[2.0, 0.0, 0.0, 0.0]]])
    prediction = torch.tensor([[[2.0, 2.0, 2.0, 2.0]], [[2.0, 9.0, 9.0, 9.0]]])
    args = (["a", "b"], prediction, truth)
    assert scored(*args).result()["abs_rel"] == (1.0 + 0.0) / 2
    pooled = scored(*args, protocol=POOLED).result()
    assert pooled["abs_rel"] == 4.0 / 5
    assert pooled["rmse"] == pytest.approx(math.sqrt(4.0 / 5))


@pytest.mark.parametrize("protocol", [PER_IMAGE, POOLED], ids=lambda p: p.aggregation)
def test_frame_without_depth_is_counted_and_not_averaged(protocol: Any) -> None:
    keys, prediction, truth = frames(3)
    alone = scored(keys, prediction, truth, protocol=protocol).result()
    scores = scored(keys, prediction, truth, protocol=protocol)
    nothing = torch.zeros(1, 6, 7)
    scores.add(["empty"], depth_sums(nothing + 5, nothing, nothing > 0))
    result = scores.result()
    assert result["num_images_without_depth"] == 1
    assert {**result, "num_images_without_depth": 0} == alone
    assert math.isnan(scores.per_frame()["empty"]["abs_rel"])


@pytest.mark.parametrize("protocol", [PER_IMAGE, POOLED], ids=lambda p: p.aggregation)
def test_nothing_scored_is_nan(protocol: Any) -> None:
    nothing = torch.zeros(1, 6, 7)
    for scores in (
        DepthScores(protocol),
        scored(["empty"], nothing + 5, nothing, protocol=protocol),
    ):
        result = scores.result()
        assert all(math.isnan(result[name]) for name in protocol.metrics)
        assert result["num_images_scored"] == result["num_pixels"] == 0


@pytest.mark.parametrize("protocol", [PER_IMAGE, POOLED], ids=lambda p: p.aggregation)
def test_one_nan_pixel_spoils_the_split_and_says_so(protocol: Any) -> None:
    keys, prediction, truth = frames(3)
    prediction[1, 5, 6] = math.nan
    result = scored(keys, prediction, truth, protocol=protocol).result()
    assert all(math.isnan(result[name]) for name in protocol.metrics)
    assert result["num_images_with_nan"] == 1


def test_a_frame_scored_twice_is_refused() -> None:
    keys, prediction, truth = frames(3)
    scores = scored(keys, prediction, truth)
    with pytest.raises(SymbioError, match=r"twice: frame-2"):
        scores.merge(scored(keys[2:], prediction[2:], truth[2:]))


def test_infinite_errors_in_both_directions_add_up_to_nan() -> None:
    truth = torch.full((2, 1, 1), 4.0)
    prediction = torch.tensor([[[math.inf]], [[0.0]]])
    result = scored(["far", "near"], prediction, truth, protocol=POOLED).result()
    assert math.isnan(result["silog"])
    assert result["abs_rel"] == math.inf


def test_ranges_by_hand_and_additive() -> None:
    truth = torch.tensor([[[1.0, 2.0, 0.0]], [[2.5, 9.0, 30.0]]])
    prediction = torch.tensor([[[2.0, 2.0, 7.0]], [[5.0, 9.0, 15.0]]])
    scores, parts = RangeScores(range_edges(16.0)), RangeScores(range_edges(16.0))
    scores.add(["a", "b"], prediction, truth, truth > 0)
    for frame, key in enumerate("ab"):
        one, piece = RangeScores(range_edges(16.0)), slice(frame, frame + 1)
        one.add([key], prediction[piece], truth[piece], truth[piece] > 0)
        parts.merge(one)
    assert parts.sums() == scores.sums()
    with pytest.raises(SymbioError, match="twice: a"):
        parts.merge(scores)
    first, second, *_, last = scores.table()
    assert (first["from_m"], first["to_m"], first["pixels"], first["abs_rel"]) == (0, 2, 1, 1.0)
    # An edge belongs to the range above it.
    assert (second["from_m"], second["pixels"], second["abs_rel"], second["d1"]) == (2, 2, 0.5, 0.5)
    assert second["rmse"] == pytest.approx(math.sqrt(2.5**2 / 2))
    assert (last["from_m"], last["to_m"], last["rmse"]) == (16.0, math.inf, 15.0)


def _rank(rank: int, world: int, port: int, results: Any) -> None:
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    keys, prediction, truth = frames(5)
    share = slice(rank, None, world)
    depth = scored(keys[share], prediction[share], truth[share])
    semantics, ranges = SemanticScores(7), RangeScores(range_edges(80.0))
    semantics.add((prediction[share] % 7).byte(), (truth[share] % 7).byte())
    ranges.add(keys[share], prediction[share], truth[share], truth[share] > 0)
    for each in (depth, semantics, ranges):
        each.gather()
    results.put((rank, depth.result(), semantics.matrix.tolist(), ranges.sums()))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_real_ranks_with_uneven_shares_count_each_frame_once() -> None:
    keys, prediction, truth = frames(5)
    semantics, ranges = SemanticScores(7), RangeScores(range_edges(80.0))
    semantics.add((prediction % 7).byte(), (truth % 7).byte())
    ranges.add(keys, prediction, truth, truth > 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    ranks = [context.Process(target=_rank, args=(rank, 2, port, results)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    found = [results.get(timeout=120) for _ in ranks]
    for rank in ranks:
        rank.join(timeout=60)
        assert rank.exitcode == 0
    for _, depth, matrix, sums in found:
        assert depth == scored(keys, prediction, truth).result()
        assert matrix == semantics.matrix.tolist()
        assert sums == ranges.sums()
