"""The tables of an evaluation: rows for CSV files and for the report."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symbio.evaluate.confusion import Confusion
from symbio.evaluate.evaluate import Evaluation, Scores
from symbio.evaluate.metrics import METRICS
from symbio.files import whole_file

Row = dict[str, Any]


def per_image(result: Evaluation) -> list[Row]:
    """One row a frame: key, pixels scored, and each predictor's metrics (`trained_abs_rel`)."""
    rows: dict[str, Row] = {}
    for name, scores in result.scores.items():
        for key, values in scores.depth.per_frame().items():
            row = rows.setdefault(key, {"key": key, "pixels": int(values["pixels"])})
            row |= {f"{name}_{metric}": values[metric] for metric in result.protocol.metrics}
    return [rows[key] for key in sorted(rows)]


def per_class(result: Evaluation, predictor: str) -> list[Row]:
    """One row a class that occurs: labels, class, name, shares, iou, accuracy, taken_for."""
    scores = result.scores[predictor]
    return [
        *_classes("truth", scores.truth.confusion(), result.source.space.names),
        *_classes("pseudo", scores.pseudo.confusion(), result.source.space.predicted.names),
    ]


def _classes(labels: str, confusion: Confusion, names: Sequence[str]) -> list[Row]:
    total = int(confusion.truth_pixels.sum())
    rows = []
    for label, name in enumerate(names):
        if math.isnan(confusion.iou[label]):
            continue
        rows.append(
            {
                "labels": labels,
                "class": label,
                "name": name,
                "share_of_labels": int(confusion.truth_pixels[label]) / total,
                "share_of_prediction": int(confusion.predicted_pixels[label]) / total,
                "iou": float(confusion.iou[label]),
                "accuracy": float(confusion.accuracy[label]),
                "taken_for": _taken_for(confusion, label, names),
            }
        )
    return sorted(rows, key=lambda row: -row["share_of_labels"])


def _taken_for(confusion: Confusion, label: int, names: Sequence[str]) -> str:
    """The class most often predicted instead; "" where there was no such error."""
    wrong = confusion.matrix[label].copy()
    wrong[label] = 0
    if not wrong.any():
        return ""
    return (*names, "(no class)")[int(wrong.argmax())]


def depth_ranges(result: Evaluation) -> list[Row]:
    """One row a predictor and range of true depth: predictor, from_m, to_m, pixels, metrics."""
    return [
        {"predictor": name, **row}
        for name, scores in result.scores.items()
        for row in scores.ranges.table()
    ]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows under the columns of the first; a NaN is written as `nan`."""
    with whole_file(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def ranked(scores: Scores, metric: str) -> list[str]:
    """Keys of frames with depth, worst first; a frame whose value is NaN is worse than any."""
    higher = METRICS[metric].higher_is_better

    def goodness(item: tuple[str, Row]) -> tuple[float, str]:
        value = item[1][metric]
        if math.isnan(value):
            return -math.inf, item[0]
        return (value if higher else -value), item[0]

    frames = {k: v for k, v in scores.depth.per_frame().items() if v["pixels"]}
    return [key for key, _ in sorted(frames.items(), key=goodness)]
