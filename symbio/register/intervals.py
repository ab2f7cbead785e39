"""How far a version's scores hold: intervals over the frames that they were measured on."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symbio.evaluate.paired import Interval, paired_interval, reproduces


def intervals_of(table: Path, metrics: Mapping[str, Any]) -> dict[str, Interval]:
    """The 95 % interval of each score of the trained network under resampling of frames.

    Args:
        table: per_image.csv of the evaluation; where that file is not there, no score has one.
        metrics: content of its metrics file.

    Returns:
        Metric -> interval. Scores that are no mean over frames (semantics; rmse or silog of a
        pooled protocol) have none, and neither have those that are not numbers.
    """
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["pixels"]) > 0]
    found = {}
    for name, value in metrics["trained"].items():
        column = f"trained_{name}"
        if not rows or column not in rows[0] or value is None:
            continue
        values = np.array([float(row[column]) for row in rows])
        pooled = metrics["aggregation"] == "pooled"
        weights = np.array([float(row["pixels"]) if pooled else 1.0 for row in rows])
        if not np.isfinite(values).all():
            continue
        interval = paired_interval(values, weights)
        if reproduces(interval, value, value):
            found[name] = interval
    return found
