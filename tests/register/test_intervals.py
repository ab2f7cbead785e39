"""Intervals of scores: against the closed form, and only where a score is a mean over frames."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbio.register.intervals import intervals_of


def put_table(path: Path, columns: dict[str, Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", *columns])
        writer.writerows(
            [f"f{number}", *row] for number, row in enumerate(zip(*columns.values(), strict=True))
        )
    return path


def test_it_is_that_of_the_normal_approximation(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(0.2, 0.05, 400)
    # The last frame has no depth and counts nowhere.
    table = put_table(
        tmp_path / "t.csv",
        {"pixels": [9] * 400 + [0], "trained_abs_rel": [*values, math.nan]},
    )
    metrics = {"aggregation": "per-image", "trained": {"abs_rel": float(values.mean())}}
    found = intervals_of(table, metrics)["abs_rel"]
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)
    assert found.num_frames == 400


def test_a_pooled_mean_weighs_by_pixels(tmp_path: Path) -> None:
    values, pixels = [0.1, 0.3, 0.2], [100, 300, 600]
    table = put_table(tmp_path / "t.csv", {"pixels": pixels, "trained_abs_rel": values})
    mean = float(np.average(values, weights=pixels))
    metrics = {"aggregation": "pooled", "trained": {"abs_rel": mean}}
    assert intervals_of(table, metrics)["abs_rel"].gain == pytest.approx(mean)


def test_scores_that_are_no_mean_over_frames_have_none(tmp_path: Path) -> None:
    table = put_table(
        tmp_path / "t.csv",
        {"pixels": [1, 1], "trained_rmse": [1.0, 2.0], "trained_d1": [0.5, math.nan],
         "trained_silog": [1.0, 3.0]},
    )  # fmt: skip
    trained = {"rmse": math.sqrt(2.5), "d1": 0.5, "silog": None, "truth_miou": 0.4, "num": 3}
    assert intervals_of(table, {"aggregation": "pooled", "trained": trained}) == {}


def test_without_a_table_no_score_has_one(tmp_path: Path) -> None:
    metrics = {"aggregation": "per-image", "trained": {"abs_rel": 0.1}}
    assert intervals_of(tmp_path / "none.csv", metrics) == {}
