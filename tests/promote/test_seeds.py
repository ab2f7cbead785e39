"""The interval over seeds against SciPy's Welch test and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from symbio.promote.seeds import Group, SeedInterval, group_of, seed_interval


def group(*values: float) -> Group:
    return group_of({seed: (str(10 + seed), value) for seed, value in enumerate(values)})


def interval(*arguments: object, **named: object) -> SeedInterval:
    found = seed_interval(*arguments, **named)  # type: ignore[arg-type]
    assert isinstance(found, SeedInterval)
    return found


@pytest.mark.parametrize("sizes", [(2, 2), (3, 5), (7, 2)])
def test_two_groups_as_scipy_has_it(sizes: tuple[int, int]) -> None:
    draw = np.random.default_rng(sum(sizes))
    mine, theirs = draw.normal(0.7, 0.01, sizes[0]), draw.normal(0.6, 0.05, sizes[1])
    expected = stats.ttest_ind(mine, theirs, equal_var=False)
    bounds = expected.confidence_interval(0.95)
    found = interval(group(*mine), group(*theirs), higher_is_better=True)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))
    assert found.freedom == pytest.approx(expected.df)
    lower = interval(group(*mine), group(*theirs), higher_is_better=False)
    assert (lower.low, lower.high) == pytest.approx((-bounds.high, -bounds.low))


def test_a_single_seed_borrows_the_other_spread() -> None:
    # s = 0.1 of two, t(1; 97.5 %) = 12.7062, var = s^2 (1 + 1/2).
    reach = 12.7062 * 0.1 * math.sqrt(1.5)
    two = group(0.3 - 0.1 / math.sqrt(2), 0.3 + 0.1 / math.sqrt(2))
    found = interval(group(0.2), two, higher_is_better=False)
    assert (found.low, found.high) == pytest.approx((0.1 - reach, 0.1 + reach), rel=1e-5)
    assert "champion's" in found.spread
    turned = interval(two, group(0.2), higher_is_better=False)
    assert (turned.low, turned.high) == pytest.approx((-0.1 - reach, -0.1 + reach), rel=1e-5)
    assert "candidate's" in turned.spread


def test_one_configuration_judges_its_seeds_by_their_own_scatter() -> None:
    # Two seeds are the whole scatter: one can never beat the other.
    for gain in (0.001, 0.1, 10.0):
        found = interval(group(1.0), group(1.0 + gain), False, group(1.0, 1.0 + gain))
        assert found.low < 0 < found.gain
    many = group(*np.linspace(0.99, 1.01, 20), 0.5)
    assert interval(group(0.5), group(1.0), False, many).low > 0


def test_one_seed_each_is_not_known() -> None:
    assert isinstance(seed_interval(group(0.1), group(0.2), False), str)
    assert isinstance(seed_interval(group(0.1), group(0.2), False, group(0.2)), str)


def test_seeds_without_scatter_leave_no_doubt() -> None:
    found = interval(group(0.1, 0.1), group(0.2, 0.2, 0.2), higher_is_better=False)
    assert found.low == found.high == pytest.approx(0.1)


def test_it_misses_a_true_gain_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    missed = 0
    for _ in range(400):
        found = interval(group(*draw.normal(1, 0.1, 4)), group(*draw.normal(0, 0.3, 3)), True)
        missed += not found.low <= 1 <= found.high
    # 20 of 400 expected; Welch's is an approximation. Binomial, five deviations.
    assert missed < 20 + 5 * math.sqrt(400 * 0.05 * 0.95)
