from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from symbio.data.classes import label_space
from symbio.data.images import encode_png
from symbio.data.shards import Shards, ShardWriter
from symbio.errors import SymbioError
from symbio.evaluate import evaluate as module
from symbio.evaluate.evaluate import Evaluation, add_constant_classes, evaluate
from symbio.evaluate.examples import Source
from symbio.evaluate.metrics import METRICS
from symbio.evaluate.predictors import Guess, Predictor, constant_predictor, resize_map
from symbio.evaluate.protocol import PROTOCOLS


def source_of(world: Any, image_size: tuple[int, int] = (32, 64)) -> Source:
    space = label_space(world.prepared.header["label_space"])
    return Source(world.prepared, world.labelled, space, image_size)


def frame_of(views: torch.Tensor, world: Any) -> list[str]:
    """Which frames these are: their grey level says so."""
    return [f"{world.dataset}-{round(float(view.float().mean()) / 10)}" for view in views]


def seeing(world: Any, factor: float = 1.0, classes: int = 3) -> Predictor:
    """Knows the true depth of every pixel it sees, times `factor`; always says one class."""

    def predict(views: torch.Tensor, size: tuple[int, int]) -> Guess:
        maps = []
        for key in frame_of(views, world):
            depth = world.depth[key]
            left = (depth.shape[1] - size[1]) // 2
            seen = depth[depth.shape[0] - size[0] :, left : left + size[1]]
            maps.append(torch.from_numpy(seen.astype(np.float32)))
        metres = torch.stack(maps) / world.prepared.header["depth_scale"]
        guess = torch.full((len(views), *size), classes, dtype=torch.uint8)
        return Guess(metres * factor, guess)

    return predict


def run(
    world: Any, protocol: str, predictor: Predictor, keys: list[str] | None = None
) -> Evaluation:
    keys = keys or world.prepared.splits["test"]
    chosen = PROTOCOLS[protocol]
    return evaluate({"trained": predictor}, source_of(world), keys, chosen, 10.0)


@pytest.mark.parametrize(
    ("dataset", "protocol"),
    [
        ("nyu", "nyu-eigen"),
        ("nyu", "none"),
        ("kitti", "kitti-eigen-garg-kb"),
        ("kitti", "kitti-eigen-garg-full"),
        ("kitti", "none"),
    ],
)
def test_who_knows_the_answer_makes_no_error(
    dataset: str, protocol: str, request: pytest.FixtureRequest
) -> None:
    world = request.getfixturevalue(dataset)
    metrics = run(world, protocol, seeing(world)).summary()["trained"]
    for name in ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10"):
        assert metrics[name] == pytest.approx(0.0, abs=1e-7)
    assert metrics["d1"] == 1.0
    assert metrics["num_images_scored"] == 3
    assert metrics["num_images_without_depth"] == 1


@pytest.mark.parametrize(
    ("dataset", "protocol", "crops"),
    [
        ("nyu", "nyu-eigen", {(480, 640): (45, 471, 41, 601)}),
        (
            "kitti",
            "kitti-eigen-garg-kb",
            {(375, 1242): (166, 372, 56, 1185), (370, 1226): (161, 367, 48, 1177)},
        ),
        (
            "kitti",
            "kitti-eigen-garg-full",
            {(375, 1242): (153, 371, 44, 1197), (370, 1226): (151, 366, 44, 1181)},
        ),
    ],
)
def test_equal_to_the_plain_protocol_on_full_frames(
    dataset: str,
    protocol: str,
    crops: dict[tuple[int, int], tuple[int, int, int, int]],
    plain_metrics: Any,
    request: pytest.FixtureRequest,
) -> None:
    """As published: resize the prediction, clamp, paste it into zeros, crop, score."""
    world = request.getfixturevalue(dataset)
    limit = 10.0 if dataset == "nyu" else 80.0
    generator = torch.Generator().manual_seed(1)
    small = {key: 20 * torch.rand(1, 30, 50, generator=generator) - 1 for key in world.depth}

    def predict(views: torch.Tensor, size: tuple[int, int]) -> Guess:
        maps = [resize_map(small[key], size) for key in frame_of(views, world)]
        return Guess(torch.cat(maps), None)

    result = run(world, protocol, predict)
    wanted = {}
    for key in world.prepared.splits["test"]:
        truth = world.depth[key].astype(np.float32) / world.prepared.header["depth_scale"]
        height, width = truth.shape
        top, left, size = 0, 0, (height, width)
        if dataset == "kitti":
            top, left, size = height - 352, int((width - 1216) / 2), (352, 1216)
        resized = F.interpolate(small[key][None], size, mode="bilinear", align_corners=False)
        canvas = np.zeros_like(truth)
        canvas[top : top + size[0], left : left + size[1]] = resized[0, 0].clamp(1e-3, limit)
        rows_columns = crops[(height, width)]
        inside = np.zeros(truth.shape, bool)
        inside[rows_columns[0] : rows_columns[1], rows_columns[2] : rows_columns[3]] = True
        valid = inside & (truth > 1e-3) & (truth < limit)
        if valid.any():
            wanted[key] = plain_metrics(canvas, truth, valid)
    frames = result.scores["trained"].depth.per_frame()
    summary = result.summary()["trained"]
    for name in PROTOCOLS[protocol].metrics:
        for key, values in wanted.items():
            assert frames[key][name] == pytest.approx(values[name], rel=1e-6), (key, name)
        mean = sum(values[name] for values in wanted.values()) / len(wanted)
        assert summary[name] == pytest.approx(mean, rel=1e-6)


def test_batch_size_changes_no_number(small_nyu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    summaries = []
    for size in (1, 2, 8):
        monkeypatch.setitem(module.BATCH, "cpu", size)
        summaries.append(run(small_nyu, "none", seeing(small_nyu, 1.1)).summary())
    assert summaries[0] == summaries[1] == summaries[2]


def test_pixels_that_the_network_does_not_see_are_counted(kitti: Any) -> None:
    result = run(kitti, "none", seeing(kitti))
    outside = 0
    for key in kitti.prepared.splits["test"]:
        measured = kitti.depth[key] > 0
        height, width = measured.shape
        left = (width - 1216) // 2
        outside += int(measured.sum() - measured[height - 352 :, left : left + 1216].sum())
    assert result.num_pixels_unpredicted == outside > 0
    assert run(kitti, "kitti-eigen-garg-full", seeing(kitti)).num_pixels_unpredicted == 0


def test_semantics_are_scored_on_what_the_network_sees(kitti: Any) -> None:
    metrics = run(kitti, "kitti-eigen-garg-kb", seeing(kitti, classes=3)).summary()["trained"]
    right = total = 0
    for key in kitti.prepared.splits["test"]:
        left = (kitti.pseudo[key].shape[1] - 1216) // 2
        seen = kitti.pseudo[key][-352:, left : left + 1216]
        right, total = right + int((seen == 3).sum()), total + seen.size
    assert metrics["pseudo_pixel_accuracy"] == pytest.approx(right / total)


def test_truth_is_scored_in_its_own_label_space(nyu: Any) -> None:
    # ADE20K 0 is wall; NYU id 21 is wall: a quarter of the columns, a quarter is unlabelled.
    metrics = run(nyu, "nyu-eigen", seeing(nyu, classes=0)).summary()["trained"]
    assert metrics["truth_pixel_accuracy"] == pytest.approx(1 / 3)
    assert metrics["truth_miou"] == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert metrics["truth_num_classes"] == 3


def test_frames_without_truth_do_not_count_in_semantics(kitti: Any) -> None:
    result = run(kitti, "none", seeing(kitti), ["kitti-2"])
    assert "truth_miou" not in result.summary()["trained"]
    assert "pseudo_miou" in result.summary()["trained"]


def test_constant_classes(nyu: Any) -> None:
    predictors = {"trained": seeing(nyu, classes=0), "constant": constant_predictor(3.0)}
    keys = nyu.prepared.splits["test"]
    result = evaluate(predictors, source_of(nyu), keys, PROTOCOLS["nyu-eigen"], 10.0)
    assert "pseudo_miou" not in result.summary()["constant"]
    chosen = add_constant_classes(result, "constant", "trained")
    assert chosen["pseudo"] in (3, 5)
    assert result.summary()["constant"]["pseudo_pixel_accuracy"] == pytest.approx(0.5)
    assert result.summary()["constant"]["pseudo_miou"] == pytest.approx(0.25)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -3.0, 0.0])
def test_a_broken_network_never_scores_better(small_nyu: Any, bad: float) -> None:
    keys = small_nyu.prepared.splits["test"]
    predictors = {"broken": constant_predictor(bad), "sound": constant_predictor(4.0)}
    for protocol in ("nyu-multitask", "none"):
        chosen = PROTOCOLS[protocol]
        result = evaluate(predictors, source_of(small_nyu), keys, chosen, 10.0).summary()
        for name in ("abs_rel", "rmse", "rmse_log", "log10", "d1"):
            assert not METRICS[name].better(result["broken"][name], result["sound"][name])


def test_a_frame_given_twice_is_refused(nyu: Any) -> None:
    with pytest.raises(SymbioError, match="nyu-0"):
        run(nyu, "nyu-eigen", seeing(nyu), ["nyu-0", "nyu-0"])


def test_protocol_of_another_data_set_is_refused(nyu: Any) -> None:
    with pytest.raises(SymbioError, match="480x640"):
        run(nyu, "kitti-eigen-garg-kb", seeing(nyu))


def test_batches_hold_every_frame_once_and_one_shape(kitti: Any) -> None:
    keys = [key for split in kitti.prepared.splits.values() for key in split]
    for size in (1, 2, 4):
        source = source_of(kitti)
        batches = list(source.batches(source.groups(keys, size)))
        assert sorted(e.key for batch in batches for e in batch) == sorted(keys)
        for batch in batches:
            assert len({e.depth_m.shape for e in batch}) == 1
            assert len(batch) <= size


def test_labels_of_another_size_are_refused(tmp_path: Path, nyu: Any) -> None:
    writer = ShardWriter(tmp_path)
    image = encode_png(np.zeros((48, 64, 3), np.uint8))
    depth = encode_png(np.ones((48, 64), np.uint16))
    truth = encode_png(np.zeros((24, 32), np.uint8))
    members = {"image.png": image, "depth.png": depth, "truth.png": truth}
    writer.add("test", "odd", members, {"height": 48, "width": 64})
    writer.close(nyu.prepared.header)
    source = Source(Shards(tmp_path), None, label_space("nyu894"), (32, 32))
    with pytest.raises(SymbioError, match=r"odd: truth is \(24, 32\), depth is \(48, 64\)"):
        source.load("odd")
