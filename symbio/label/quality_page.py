"""quality.html: the pseudo-label report as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import IGNORE, ade20k_names, label_space
from symbio.data.dataset import load_frame, load_pseudo
from symbio.data.shards import Shards
from symbio.pictures import Picture, colour_classes, colour_depth, grid, labelled, legend, overlay
from symbio.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_WIDTH = 480


def write_page(
    folder: Path, summary: Mapping[str, Any], prepared: Shards, header: Mapping[str, Any]
) -> None:
    """Write quality.html beside the shards in `folder`, which it shows frames of."""
    report = Report(f"Pseudo-labels of {header['dataset']}")
    report.text(
        f"Teacher {header['teacher']['name']}; {summary['num_frames']} frames; pixels below "
        f"confidence {summary['min_confidence']:g} are ignored. Truth, where there is any, is "
        f"compared in {summary['label_space']}, so the figures include the class map."
    )
    size = summary["bytes_a_frame"]
    report.text(
        f"A frame takes {size['label'] / 1e3:.1f} kB for its classes and "
        f"{size['confidence'] / 1e3:.1f} kB for its confidence."
    )
    keys = (
        "pixel_accuracy", "kept_pixel_accuracy", "miou", "kept_share", "mean_confidence",
        "calibration_error", "flip_agreement", "num_pixels_with_truth",
    )  # fmt: skip
    report.table([(key.replace("_", " "), _shown(summary[key])) for key in keys], ("measure", ""))
    _table(report, "Splits", [{"split": k, **v} for k, v in summary["splits"].items()])
    _table(report, "Kept at other thresholds", summary["thresholds"])
    if summary["calibration"]:
        report.heading("Calibration")
        report.figure(_reliability(summary["calibration"]), "Accuracy at each confidence")
    _table(report, "By depth, metres", summary["depth_ranges_m"])
    _table(report, "Classes with truth", summary["classes"])
    _table(report, "Class balance before the threshold", summary["class_balance"])
    pseudo = Shards(folder)
    for title, kind in (("Frames over the whole set", "typical"), ("Worst frames", "worst")):
        _pictures(report, title, summary[f"{kind}_frames"], prepared, pseudo)
    report.write(folder / "quality.html")


def _table(report: Report, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        report.heading(title)
        headers = [key.replace("_", " ") for key in rows[0]]
        report.table([[_shown(value) for value in row.values()] for row in rows], headers)


def _shown(value: Any) -> Any:
    return "–" if value is None else value


def _reliability(rows: Sequence[Mapping[str, float]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 3.5))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.plot([r["confidence"] for r in rows], [r["accuracy"] for r in rows], marker="o")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    return figure


def _pictures(
    report: Report,
    title: str,
    frames: Sequence[Mapping[str, Any]],
    prepared: Shards,
    pseudo: Shards,
) -> None:
    if not frames:
        return
    report.heading(title)
    space = label_space(prepared.header["label_space"])
    for row in frames:
        frame = load_frame(prepared, row["key"])
        label, confidence = load_pseudo(pseudo, row["key"])
        pictures = [
            labelled(_small(frame.image), "image"),
            labelled(_small(overlay(frame.image, label)), "pseudo-label"),
            labelled(_small(_heat(confidence)), "confidence (red: low)"),
        ]
        if frame.truth is not None:
            scored = space.from_truth[frame.truth]
            wrong = (scored != IGNORE) & (space.from_ade20k[label] != scored)
            shown = np.where(wrong, scored, IGNORE).astype(np.uint8)
            pictures.append(labelled(_small(colour_classes(shown)), "truth where it differs"))
        panels = grid([pictures])
        picture = np.vstack([panels, legend(label, ade20k_names(), panels.shape[1])])
        score = row["pixel_accuracy"]
        report.picture(
            picture,
            f"{row['key']}: "
            + ("" if score is None else f"pixel accuracy {score:.3f}, ")
            + f"mean confidence {row['mean_confidence']:.3f}",
        )


def _heat(confidence: NDArray[np.uint8]) -> Picture:
    return colour_depth(1.0 + confidence / 255.0, 1.0, 2.0)


def _small(picture: Picture) -> Picture:
    step = -(-picture.shape[1] // _MAX_WIDTH)
    return np.ascontiguousarray(picture[::step, ::step])
