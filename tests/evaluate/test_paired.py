"""The interval against closed forms."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from symbio.evaluate.metrics import METRICS
from symbio.evaluate.paired import gains_of, paired_interval, reproduces


def ones(count: int) -> np.ndarray:
    return np.ones(count)


def test_frames_that_all_gain_the_same_leave_no_doubt() -> None:
    interval = paired_interval(np.full(7, 0.25), ones(7))
    assert (interval.low, interval.high, interval.gain) == (0.25, 0.25, 0.25)


def test_two_frames_by_hand() -> None:
    # Resamples of (0, 1): means 0, 1/2, 1 with probability 1/4, 1/2, 1/4.
    interval = paired_interval(np.array([0.0, 1.0]), ones(2))
    assert (interval.low, interval.high, interval.gain) == (0.0, 1.0, 0.5)


def test_five_frames_against_every_resample_there_is() -> None:
    gains, weights = np.array([3.0, -1.0, 0.5, 2.0, -0.2]), np.array([1.0, 4.0, 2.0, 3.0, 1.0])
    every = [
        sum(gains[i] * weights[i] for i in chosen) / sum(weights[i] for i in chosen)
        for chosen in product(range(5), repeat=5)
    ]
    low, high = np.quantile(every, [0.025, 0.975])
    interval = paired_interval(gains, weights)
    assert interval.gain == pytest.approx(5.8 / 11)
    assert interval.low == pytest.approx(low, abs=0.06)
    assert interval.high == pytest.approx(high, abs=0.06)


def test_many_frames_against_the_normal_approximation() -> None:
    gains = np.random.default_rng(3).normal(0.01, 0.1, 2000)
    interval = paired_interval(gains, ones(2000))
    margin = 1.959964 * gains.std() / math.sqrt(2000)
    assert interval.low == pytest.approx(gains.mean() - margin, abs=0.04 * margin)
    assert interval.high == pytest.approx(gains.mean() + margin, abs=0.04 * margin)
    assert paired_interval(gains, ones(2000)) == interval


def test_it_misses_a_true_gain_as_often_as_it_says() -> None:
    draw = np.random.default_rng(11)
    missed = 0
    for _ in range(200):
        interval = paired_interval(draw.normal(1.0, 2.0, 60), ones(60))
        missed += not interval.low <= 1.0 <= interval.high
    # 10 of 200 expected; 60 frames make it a little more. Binomial, five deviations.
    assert missed < 10 + 5 * math.sqrt(200 * 0.05 * 0.95)


def rows(values: list[float], pixels: list[int], name: str = "abs_rel") -> dict:
    return {
        f"f{n}": {"pixels": str(count), f"trained_{name}": str(value)}
        for n, (value, count) in enumerate(zip(values, pixels, strict=True))
    }


def test_a_gain_is_positive_where_the_candidate_is_better() -> None:
    pixels = [10, 0, 30]
    lower = gains_of(
        METRICS["abs_rel"], rows([0.1, math.nan, 0.2], pixels), rows([0.2, math.nan, 0.1], pixels),
        pooled=False,
    )  # fmt: skip
    assert not isinstance(lower, str)
    assert lower[0] == pytest.approx([0.1, -0.1])
    assert lower[1].tolist() == [1, 1]
    higher = gains_of(
        METRICS["d1"], rows([0.9, 0, 0.5], pixels, "d1"), rows([0.5, 0, 0.5], pixels, "d1"),
        pooled=True,
    )  # fmt: skip
    assert not isinstance(higher, str)
    assert higher[0] == pytest.approx([0.4, 0.0])
    assert higher[1].tolist() == [10, 30]


def test_what_cannot_be_paired_says_why() -> None:
    one = rows([0.1], [5])
    assert "different frames" in str(gains_of(METRICS["abs_rel"], one, {}, pooled=False))
    assert "single frames" in str(gains_of(METRICS["rmse"], one, one, pooled=False))
    empty = rows([math.nan], [0])
    assert "no frame" in str(gains_of(METRICS["abs_rel"], empty, empty, pooled=False))


def test_a_table_must_reproduce_the_difference_it_is_to_explain() -> None:
    interval = paired_interval(np.array([0.1, 0.3]), ones(2))
    assert reproduces(interval, 0.2, 1.0)
    assert not reproduces(interval, 0.21, 1.0)
