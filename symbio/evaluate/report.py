"""The report of an evaluation: one HTML page, and the tables behind it as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from symbio.evaluate.evaluate import Evaluation
from symbio.evaluate.held_out import PICTURES, held_out, picture_name, save_picture
from symbio.evaluate.metrics import METRICS, metric_named
from symbio.evaluate.panels import panel
from symbio.evaluate.predictors import Predictor
from symbio.evaluate.tables import (
    Row,
    depth_ranges,
    per_class,
    per_image,
    ranked,
    write_csv,
)
from symbio.files import write_json
from symbio.progress import track
from symbio.report import Report

_FRAMES = 4
"""Frames shown of the worst, and of the best."""
_CLASSES_SHOWN = 40


def write_report(
    folder: Path,
    result: Evaluation,
    card: Mapping[str, Any],
    predict: Predictor,
    device: torch.device | str = "cpu",
) -> None:
    """Write report.html, its tables as CSV, protocol.json and the held-out frames' pictures.

    Args:
        folder: where to write; must exist.
        result: the scores; predictor "trained" is the one that pictures and classes are of.
        card: the metrics file's content.
        predict: the trained network.
        device: where `predict` is.
    """
    images, classes, ranges = per_image(result), per_class(result, "trained"), depth_ranges(result)
    write_csv(folder / "per_image.csv", images)
    write_csv(folder / "per_class.csv", classes)
    write_csv(folder / "depth_ranges.csv", ranges)
    write_json(folder / "protocol.json", result.protocol.stamp())
    report = Report(f"Evaluation of {card['dataset']}: {card['protocol']}, {card['split']}")
    report.text(result.protocol.summary + ".")
    _scores(report, result, card)
    _frames(report, folder, result, predict, device)
    _ranges(report, ranges)
    _classes(report, classes)
    _measured(report, result, card)
    report.write(folder / "report.html")


def _measured(report: Report, result: Evaluation, card: Mapping[str, Any]) -> None:
    report.heading("What was measured")
    rows = [(key, card[key]) for key in sorted(card) if not isinstance(card[key], dict)]
    report.table([(key, "none" if value is None else value) for key, value in rows], ["", "value"])
    empty = [row["key"] for row in per_image(result) if not row["pixels"]]
    if empty:
        report.text(f"Without a single scored pixel, and in no mean: {', '.join(empty)}.")


def _scores(report: Report, result: Evaluation, card: Mapping[str, Any]) -> None:
    names = list(result.scores)
    for title, wanted in (("Depth", _is_depth), ("Semantics", _is_semantic)):
        keys = [key for key in card[names[0]] if wanted(key)]
        rows = [[_titled(key), *(_shown(card[name].get(key)) for name in names)] for key in keys]
        if rows:
            report.heading(title)
            report.table(rows, ["", *names])
    space = result.source.space
    report.text(
        "trained: the model. untrained: the same network with random weights. constant: the one "
        "depth with the lowest abs_rel on these very frames, and the most frequent class. "
        f"truth_ is scored in {space.name} (reachable: only classes that some ADE20K "
        f"class maps to), pseudo_ against the teacher in {space.predicted.name}. mIoU runs "
        "over the classes that occur in labels or prediction."
    )


def _is_depth(key: str) -> bool:
    return key in METRICS or key == "num_images_with_nan"


def _is_semantic(key: str) -> bool:
    return key.startswith(("truth_", "pseudo_"))


def _titled(key: str) -> str:
    if "num_" in key:
        return key
    metric = metric_named(key)
    arrow = "higher is better" if metric.higher_is_better else "lower is better"
    return f"{key} ({metric.unit}, {arrow})" if metric.unit else f"{key} ({arrow})"


def _shown(value: Any) -> Any:
    return "not a number" if value is None else value


def _ranges(report: Report, rows: Sequence[Row]) -> None:
    report.heading("By distance")
    report.text("Pixels grouped by their true depth, pooled over all frames.")
    shown = [row for row in rows if row["predictor"] in ("trained", "constant")]
    if shown:
        report.table([_cells(row) for row in shown], list(shown[0]))


def _classes(report: Report, rows: Sequence[Row]) -> None:
    for labels in ("truth", "pseudo"):
        shown = [row for row in rows if row["labels"] == labels]
        if shown:
            report.heading(f"By class, against {labels} labels")
            report.table([_cells(row) for row in shown[:_CLASSES_SHOWN]], list(shown[0]))
        if len(shown) > _CLASSES_SHOWN:
            report.text(f"{len(shown) - _CLASSES_SHOWN} rarer classes are in per_class.csv.")


def _cells(row: Row) -> list[Any]:
    return ["" if value != value else value for value in row.values()]


def _frames(
    report: Report,
    folder: Path,
    result: Evaluation,
    predict: Predictor,
    device: torch.device | str,
) -> None:
    metric, prepared = result.protocol.metrics[0], result.source.prepared
    scores = result.scores["trained"]
    order, values = ranked(scores, metric), scores.depth.per_frame()
    same = held_out(values)
    groups = {
        "The same frames for every model": same,
        "Worst frames": order[:_FRAMES],
        "Best frames": order[::-1][:_FRAMES],
    }
    wanted = list(dict.fromkeys(key for keys in groups.values() for key in keys))
    panels = {
        key: panel(predict, result.source, result.protocol, key, device)
        for key in track(wanted, "report pictures")
    }
    (folder / PICTURES).mkdir()
    for key in same:
        save_picture(folder / PICTURES, prepared, key, panels[key])
    for title, keys in groups.items():
        report.heading(title)
        for key in keys:
            name = picture_name(prepared, key)
            report.picture(panels[key], f"{key} ({name}): {metric} {values[key][metric]:.4f}")
