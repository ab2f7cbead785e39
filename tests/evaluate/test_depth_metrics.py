from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symbio.errors import SymbioError
from symbio.evaluate.metrics import METRICS, SUMS, depth_sums, metric_named, metrics_from_sums
from symbio.evaluate.protocol import EIGEN_METRICS, PROTOCOLS

EVERY = (*EIGEN_METRICS, "official_silog", "official_sq_rel", "irmse")


def metrics_of(
    prediction: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor | None = None
) -> list[dict[str, float]]:
    valid = truth > 0 if valid is None else valid
    values = metrics_from_sums(depth_sums(prediction, truth, valid), EVERY)
    return [dict(zip(EVERY, row, strict=True)) for row in values.tolist()]


def uniform(value: float, size: tuple[int, ...] = (1, 4, 5)) -> torch.Tensor:
    return torch.full(size, value)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(1, 4),
    height=st.integers(1, 37),
    width=st.integers(1, 41),
    holes=st.floats(0.0, 0.97),
    noise=st.floats(0.01, 1.5),
)
def test_equal_to_the_plain_version_image_by_image(
    plain_metrics: Callable[..., dict[str, float]],
    seed: int,
    batch: int,
    height: int,
    width: int,
    holes: float,
    noise: float,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (batch, height, width)
    truth = rng.uniform(0.2, 79.0, shape).astype(np.float32)
    prediction = (truth * np.exp(rng.normal(0.1, noise, shape))).astype(np.float32)
    truth[rng.random(shape) < holes] = 0.0
    valid = truth > 0
    rows = metrics_of(*map(torch.from_numpy, (prediction, truth, valid)))
    for row, p, g, v in zip(rows, prediction, truth, valid, strict=True):
        if not v.any():
            assert all(math.isnan(value) for value in row.values())
            continue
        wanted = plain_metrics(p, g, v)
        for name, value in row.items():
            # A single pixel has a variance of 0, which two ways of rounding leave near 1e-16.
            assert value == pytest.approx(wanted[name], rel=1e-6, abs=1e-5), name


@pytest.mark.parametrize(("kind", "near"), [(torch.float64, 1e-12), (torch.float32, 3e-7)])
def test_sums_of_a_large_image_are_as_exact_as_its_depths(
    plain_metrics: Callable[..., dict[str, float]], kind: torch.dtype, near: float
) -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.2, 9.9, (1, 426, 560)).astype(np.float32)
    prediction = (truth * np.exp(rng.normal(0.1, 0.3, truth.shape))).astype(np.float32)
    valid = rng.random(truth.shape) < 0.7
    depths = (torch.from_numpy(depth).to(kind) for depth in (prediction, truth))
    (row,) = metrics_of(*depths, torch.from_numpy(valid))
    wanted = plain_metrics(prediction[0], truth[0], valid[0])
    assert row == {name: pytest.approx(wanted[name], rel=near) for name in EVERY}


def test_closed_forms_of_a_prediction_twice_too_far() -> None:
    (row,) = metrics_of(uniform(4.0), uniform(2.0))
    assert row["abs_rel"] == 1.0
    assert row["sq_rel"] == 2.0
    assert row["rmse"] == 2.0
    assert row["rmse_log"] == pytest.approx(math.log(2.0))
    assert row["log10"] == pytest.approx(math.log10(2.0))
    assert row["silog"] == pytest.approx(0.0, abs=1e-5)
    assert (row["d1"], row["d2"], row["d3"]) == (0.0, 0.0, 0.0)
    assert row["official_sq_rel"] == 1.0
    assert row["irmse"] == 250.0


def test_silog_of_two_pixels_is_half_their_log_distance() -> None:
    prediction, truth = torch.tensor([[[2.0, 3.0]]]), torch.tensor([[[1.0, 3.0]]])
    (row,) = metrics_of(prediction, truth)
    assert row["silog"] == pytest.approx(50.0 * math.log(2.0))
    assert row["official_silog"] == pytest.approx(math.log(2.0) ** 2 / 4)


@pytest.mark.parametrize(
    ("factor", "hits"),
    [(1.25, (0, 1, 1)), (1 / 1.25, (0, 1, 1)), (1.5625, (0, 0, 1)), (1.953125, (0, 0, 0))],
)
def test_thresholds_are_strict(factor: float, hits: tuple[int, int, int]) -> None:
    # 15.625 = 1.25^3 * 8: its products with these factors are exact, so each ratio is the bound.
    truth = uniform(15.625)
    (row,) = metrics_of(uniform(15.625 * factor), truth)
    assert (row["d1"], row["d2"], row["d3"]) == hits


@given(depth=st.floats(0.125, 80.0, width=32), steps=st.sampled_from([-1, 1]))
@settings(max_examples=60, deadline=None)
def test_one_float_beside_the_threshold_is_told_apart(depth: float, steps: int) -> None:
    truth = np.float32(depth)
    bound = np.float32(np.float64(truth) * 1.25)
    beside = np.nextafter(bound, np.float32(np.inf) * np.float32(steps))
    (row,) = metrics_of(torch.tensor([[[beside]]]), torch.tensor([[[truth]]]))
    assert row["d1"] == float(np.float64(beside) < 1.25 * np.float64(truth))


def test_holes_do_not_count() -> None:
    truth = uniform(3.0, (2, 6, 7))
    truth[:, 2:4] = 0.0
    prediction = torch.where(truth > 0, truth, 99.0)
    for row in metrics_of(prediction, truth):
        assert row["abs_rel"] == row["rmse"] == row["silog"] == 0.0
        assert row["d1"] == 1.0


def test_nan_where_there_is_no_truth_does_not_count() -> None:
    truth = uniform(3.0)
    truth[0, 0, 0] = 0.0
    prediction = truth.clone()
    prediction[0, 0, 0] = math.nan
    assert metrics_of(prediction, truth)[0]["abs_rel"] == 0.0


def test_one_nan_prediction_makes_every_metric_of_its_image_nan_and_of_no_other() -> None:
    truth = uniform(3.0, (2, 4, 5))
    prediction = truth.clone()
    prediction[0, 1, 1] = math.nan
    broken, sound = metrics_of(prediction, truth)
    assert all(math.isnan(value) for value in broken.values())
    assert sound["d1"] == 1.0
    assert depth_sums(prediction, truth, truth > 0)[0, 0] == 20


def test_image_without_truth_beside_one_with_truth() -> None:
    truth = torch.stack([torch.zeros(4, 5), torch.full((4, 5), 2.0)])
    sums = depth_sums(uniform(2.0, (2, 4, 5)), truth, truth > 0)
    assert sums[0].tolist() == [0.0] * len(SUMS)
    assert sums[1, 0] == 20
    empty = depth_sums(uniform(2.0), torch.zeros(1, 4, 5), torch.zeros(1, 4, 5, dtype=torch.bool))
    assert empty.tolist() == [[0.0] * len(SUMS)]


@pytest.mark.parametrize("bad", [math.inf, -math.inf, -5.0, 0.0, 1e9])
def test_absurd_predictions_score_badly_under_a_clamping_protocol(bad: float) -> None:
    protocol = PROTOCOLS["kitti-eigen-garg-kb"]
    (row,) = metrics_of(protocol.limit(uniform(bad)), uniform(7.0))
    edge = 80.0 if bad > 0 else 1e-3
    assert row["abs_rel"] == pytest.approx(abs(edge - 7.0) / 7.0)
    assert row["d3"] == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -5.0])
def test_absurd_predictions_never_look_good_without_clamping(bad: float) -> None:
    (row,) = metrics_of(PROTOCOLS["nyu-multitask"].limit(uniform(bad)), uniform(7.0))
    assert not METRICS["rmse_log"].better(row["rmse_log"], 1e6)
    assert not METRICS["abs_rel"].better(row["abs_rel"], 0.9)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_nan_is_never_better(name: str) -> None:
    metric = METRICS[name]
    for bad in (math.nan, math.inf, -math.inf, None):
        assert not metric.better(bad, 0.5)
        assert not metric.better(bad, None)
        assert not metric.better(bad, metric.worst)
        assert metric.better(0.5, bad)


def test_direction() -> None:
    assert METRICS["abs_rel"].better(0.1, 0.2)
    assert not METRICS["abs_rel"].better(0.2, 0.2)
    assert METRICS["d1"].better(0.9, 0.8)
    assert METRICS["miou"].worst == -math.inf
    assert METRICS["rmse"].worst == math.inf


def test_metrics_are_found_by_name() -> None:
    assert metric_named("pseudo_miou").higher_is_better
    with pytest.raises(SymbioError, match=r"'absrel'.*abs_rel"):
        metric_named("absrel")


def test_every_protocols_metrics_have_a_direction_and_a_formula() -> None:
    sums = depth_sums(uniform(2.0), uniform(3.0), torch.ones(1, 4, 5, dtype=torch.bool))
    for protocol in PROTOCOLS.values():
        assert set(protocol.metrics) <= set(METRICS)
        assert metrics_from_sums(sums, protocol.metrics).isfinite().all()
