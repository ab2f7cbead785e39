"""Metrics, frames, classes and ranges side by side, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symbio.compare.differ import frames_that_differ, values_of
from symbio.compare.gains import metrics_compared
from symbio.compare.measured import Range
from symbio.compare.sides import classes_compared, ranges_compared
from tests.compare.sides import measured


def test_gains_are_positive_where_the_other_is_better() -> None:
    first = measured({"abs_rel": [0.2, 0.4], "d1": [0.5, 0.7]})
    other = measured({"abs_rel": [0.1, 0.3], "d1": [0.4, 0.8]})
    abs_rel, d1 = metrics_compared([first, other], [])
    assert (abs_rel.name, d1.name) == ("abs_rel", "d1")
    assert abs_rel.values == pytest.approx([0.3, 0.2])
    (gain,) = abs_rel.gains
    assert gain.gain == pytest.approx(0.1)
    assert gain.share == pytest.approx(1 / 3)
    # Both frames gain 0.1: no resample differs.
    assert gain.interval is not None
    assert (gain.interval.low, gain.interval.high) == pytest.approx((0.1, 0.1))
    assert gain.certain
    (gain,) = d1.gains
    assert gain.gain == pytest.approx(0.0)
    # Resamples of two frames that change by -0.1 and 0.1.
    assert gain.interval is not None
    assert (gain.interval.low, gain.interval.high) == pytest.approx((-0.1, 0.1))
    assert not gain.certain


def test_what_has_no_interval_says_why() -> None:
    classes = {"truth_miou": 0.5, "pseudo_miou": 0.6, "sq_rel": None, "num_images_scored": 2}
    first = measured({"abs_rel": [0.2, 0.4]}, trained=classes)
    other = measured({"abs_rel": [0.2, 0.4]}, trained={**classes, "truth_miou": 0.4})
    found = {one.name: one for one in metrics_compared([first, other], ["pseudo_"])}
    assert list(found) == ["abs_rel", "sq_rel", "truth_miou"]
    (miou,) = found["truth_miou"].gains
    assert (miou.interval, miou.gain) == (None, pytest.approx(-0.1))
    assert "no value for single frames" in miou.why_not
    assert found["sq_rel"].gains[0].gain is None
    (alone,) = metrics_compared([measured({"abs_rel": [0.2]}, frames=None), first], ["pseudo_"])
    assert "no table" in alone.gains[0].why_not


def test_frames_are_chosen_as_a_search_of_all_pairs_does() -> None:
    draw = np.random.default_rng(2)
    tables = draw.uniform(0.1, 0.9, (3, 40))
    sides = [measured({"abs_rel": row.tolist()}) for row in tables]
    found = frames_that_differ(sides, "abs_rel")
    by_hand = {}
    for frame in range(40):
        gains = [tables[0, frame] - tables[side, frame] for side in (1, 2)]
        by_hand[f"frame-{frame}"] = gains[0] if abs(gains[0]) > abs(gains[1]) else gains[1]
    order = sorted(by_hand, key=lambda key: by_hand[key])
    assert [one.key for one in found] == [*order[:-4:-1], *order[:3]]
    assert [one.gain > 0 for one in found] == [True] * 3 + [False] * 3
    assert found[0].values == pytest.approx(tables[:, int(found[0].key.split("-")[1])])


def test_a_prediction_that_is_no_number_loses_most() -> None:
    first = measured({"d1": [0.5, 0.5, math.nan, 0.5]})
    other = measured({"d1": [0.9, math.nan, 0.1, 0.5]})
    found = frames_that_differ([first, other], "d1")
    assert [(one.key, one.gain) for one in found] == [
        ("frame-2", math.inf),
        ("frame-0", pytest.approx(0.4)),
        ("frame-1", -math.inf),
    ]
    assert values_of([first, other], "frame-1", "d1") == [0.5, None]


def test_tables_of_other_frames_choose_none() -> None:
    one, two = measured({"abs_rel": [0.1]}), measured({"abs_rel": [0.1, 0.2]})
    assert frames_that_differ([one, two], "abs_rel") == []
    assert frames_that_differ([one, measured({"abs_rel": [0.1]}, frames=None)], "abs_rel") == []


def test_classes_that_change_most_come_first() -> None:
    first = measured({"abs_rel": [0.1]}, iou={("truth", "wall"): 0.5, ("truth", "bed"): 0.4})
    other = measured(
        {"abs_rel": [0.1]},
        iou={("truth", "wall"): 0.6, ("truth", "bed"): 0.1, ("truth", "sofa"): 0.0},
    )
    rows = classes_compared([first, other], "truth")
    assert [row["class"] for row in rows] == ["bed", "wall", "sofa"]
    assert rows[0]["change"] == [pytest.approx(-0.3)]
    assert rows[2] == {"class": "sofa", "iou": [None, 0.0], "change": [None]}
    assert classes_compared([first, other], "pseudo") == []
    assert classes_compared([first, measured({"abs_rel": [0.1]})], "truth") == []


def test_only_the_same_ranges_are_compared() -> None:
    def ranges(*ends: tuple[float, float], value: float = 0.5) -> dict[tuple[float, float], Range]:
        values = {"abs_rel": value, "rmse": math.nan, "d1": 1 - value}
        return {end: Range(7, values) for end in ends}

    near, far = (0.0, 5.0), (5.0, math.inf)
    first = measured({"abs_rel": [0.1]}, ranges=ranges(near, far))
    other = measured({"abs_rel": [0.1]}, ranges=ranges(near, far, value=0.25))
    rows = ranges_compared([first, other])
    assert [(row["from_m"], row["to_m"], row["pixels"]) for row in rows] == [
        (0.0, 5.0, 7),
        (5.0, None, 7),
    ]
    assert rows[0]["abs_rel"] == {"values": [0.5, 0.25], "change": [-0.25]}
    assert rows[0]["rmse"] == {"values": [None, None], "change": [None]}
    longer = measured({"abs_rel": [0.1]}, ranges=ranges((0.0, 6.0), far))
    assert ranges_compared([first, longer]) == []
