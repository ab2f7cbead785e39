"""The report on pseudo-labels: data/pseudo/{d}/quality.json and quality.html.

Everything that needs truth is taken where the data set has labels, in the space in which it is
scored (NYU40, Cityscapes 19); it measures the teacher together with the class map.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symbio.data.classes import ade20k_names, label_space
from symbio.data.shards import Shards
from symbio.files import write_json
from symbio.label.measure import Counts, Measures, is_kept, no_measures

THRESHOLDS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
_BINS = 15
"""Bins of the calibration error, as usual (Guo et al. 2017)."""
_NUM_WORST = 6
_NUM_TYPICAL = 4


class Quality:
    """Adds up the measures of frames and says what they mean."""

    def __init__(self, truth_space: str, edges_m: tuple[float, ...], min_confidence: float) -> None:
        self.space = label_space(truth_space)
        self.edges_m = edges_m
        self.min_confidence = min_confidence
        self.total = no_measures(len(self.space.names), len(edges_m) - 1)
        self.splits: dict[str, Measures] = {}
        self.frames: dict[str, tuple[float | None, float]] = {}
        """Accuracy (None without truth) and mean confidence of each frame."""
        self.num_bytes = [0, 0]
        """Of all labels and of all confidences, as they are stored."""

    def add(self, split: str, key: str, measures: Measures, num_bytes: tuple[int, int]) -> None:
        """Count one frame; `num_bytes`: its label's and its confidence's."""
        self.num_bytes = [a + b for a, b in zip(self.num_bytes, num_bytes, strict=True)]
        self.total = self.total + measures
        self.splits[split] = self.splits[split] + measures if split in self.splits else measures
        self.frames[key] = (accuracy(measures), mean_confidence(measures))

    def worst(self) -> list[str]:
        """Keys of the worst frames: by accuracy where there is truth, else by confidence."""
        known = {k: acc for k, (acc, _) in self.frames.items() if acc is not None}
        ranking = known or {key: confidence for key, (_, confidence) in self.frames.items()}
        return sorted(ranking, key=lambda key: (ranking[key], key))[:_NUM_WORST]

    def typical(self) -> list[str]:
        """Keys of a few frames, evenly spaced over all of them."""
        keys = list(self.frames)
        shown = min(_NUM_TYPICAL, len(keys))
        return [keys[(2 * number + 1) * len(keys) // (2 * shown)] for number in range(shown)]

    def summary(self) -> dict[str, Any]:
        """The content of quality.json; a share without pixels is null."""
        total = self.total
        scores = _scores(total.confusion)
        return {
            "num_frames": len(self.frames),
            "label_space": self.space.name,
            "min_confidence": self.min_confidence,
            "kept_share": _share(total.classes[:, 1].sum(), total.confidence.sum()),
            "mean_confidence": mean_confidence(total),
            "num_pixels_with_truth": int(total.labelled.sum()),
            "pixel_accuracy": accuracy(total),
            "kept_pixel_accuracy": self._kept_accuracy(),
            "miou": scores["miou"],
            "calibration_error": calibration_error(total),
            "calibration": calibration(total),
            "flip_agreement": _share(total.flip[1], total.flip[0]),
            "thresholds": thresholds(total),
            "classes": self._class_rows(scores["iou"]),
            "class_balance": self._balance_rows(),
            "depth_ranges_m": self._depth_rows(),
            "splits": {
                split: {"pixel_accuracy": accuracy(part), "mean_confidence": mean_confidence(part)}
                for split, part in self.splits.items()
            },
            "bytes_a_frame": {
                kind: round(total_bytes / max(len(self.frames), 1))
                for kind, total_bytes in zip(("label", "confidence"), self.num_bytes, strict=True)
            },
            "worst_frames": self._frame_rows(self.worst()),
            "typical_frames": self._frame_rows(self.typical()),
        }

    def _frame_rows(self, keys: list[str]) -> list[dict[str, Any]]:
        return [
            {"key": key, "pixel_accuracy": right, "mean_confidence": confidence}
            for key, (right, confidence) in ((key, self.frames[key]) for key in keys)
        ]

    def _kept_accuracy(self) -> float | None:
        kept = is_kept(np.arange(256, dtype=np.uint8), self.min_confidence)
        return _share(self.total.correct[kept].sum(), self.total.labelled[kept].sum())

    def _class_rows(self, iou: NDArray[np.float64]) -> list[dict[str, Any]]:
        matrix = self.total.confusion
        hits, truth = np.diagonal(matrix), matrix.sum(axis=1)
        found = matrix[:, :-1].sum(axis=0)
        return [
            {
                "name": name,
                "iou": float(iou[c]),
                "recall": _share(hits[c], truth[c]),
                "precision": _share(hits[c], found[c]),
                "truth_pixels": int(truth[c]),
            }
            for c, name in enumerate(self.space.names)
            if truth[c] or found[c]
        ]

    def _balance_rows(self) -> list[dict[str, Any]]:
        before, after = self.total.classes.T
        order = [int(c) for c in np.argsort(-before, kind="stable") if before[c]]
        return [
            {
                "name": ade20k_names()[c],
                "share": _share(before[c], before.sum()),
                "kept_share": _share(after[c], before[c]),
            }
            for c in order
        ]

    def _depth_rows(self) -> list[dict[str, Any]]:
        bounds = zip(self.edges_m[:-1], self.edges_m[1:], strict=True)
        return [
            {
                "from": low,
                "to": high,
                "pixels": int(row[0]),
                "kept_share": _share(row[1], row[0]),
                "pixel_accuracy": _share(row[3], row[2]),
            }
            for (low, high), row in zip(bounds, self.total.depth, strict=True)
        ]


def accuracy(measures: Measures) -> float | None:
    """Share of the pixels with truth that are right, before the threshold."""
    return _share(measures.correct.sum(), measures.labelled.sum())


def mean_confidence(measures: Measures) -> float:
    """Mean confidence of all pixels, 0..1."""
    levels = np.arange(256) / 255
    return float((measures.confidence * levels).sum() / max(measures.confidence.sum(), 1))


def calibration(measures: Measures) -> list[dict[str, Any]]:
    """Confidence against accuracy in equal bins of confidence; bins without pixels are left out."""
    levels = np.arange(256) / 255
    place = np.minimum((levels * _BINS).astype(int), _BINS - 1)
    rows = []
    for number in range(_BINS):
        own = place == number
        pixels = int(measures.labelled[own].sum())
        if pixels:
            rows.append(
                {
                    "confidence": float((measures.labelled[own] * levels[own]).sum() / pixels),
                    "accuracy": float(measures.correct[own].sum() / pixels),
                    "pixels": pixels,
                }
            )
    return rows


def calibration_error(measures: Measures) -> float | None:
    """Expected calibration error: mean distance of confidence and accuracy, by pixels."""
    rows = calibration(measures)
    pixels = sum(row["pixels"] for row in rows)
    if not pixels:
        return None
    return float(sum(r["pixels"] * abs(r["confidence"] - r["accuracy"]) for r in rows) / pixels)


def thresholds(measures: Measures) -> list[dict[str, Any]]:
    """What would be kept at other values of `min_confidence`, and how much of it is right."""
    rows = []
    for threshold in THRESHOLDS:
        kept = is_kept(np.arange(256, dtype=np.uint8), threshold)
        rows.append(
            {
                "min_confidence": threshold,
                "kept_share": _share(measures.confidence[kept].sum(), measures.confidence.sum()),
                "pixel_accuracy": _share(
                    measures.correct[kept].sum(), measures.labelled[kept].sum()
                ),
            }
        )
    return rows


def write_quality(
    folder: Path, quality: Quality, prepared: Shards, header: Mapping[str, Any]
) -> dict[str, Any]:
    """Write quality.json and quality.html into the finished shard folder; returns the former."""
    from symbio.label.quality_page import write_page

    summary = quality.summary()
    write_json(folder / "quality.json", summary)
    write_page(folder, summary, prepared, header)
    return summary


def _scores(matrix: Counts) -> dict[str, Any]:
    """IoU of each class (NaN where it occurs in neither) and their mean."""
    hits = np.diagonal(matrix)
    union = matrix.sum(axis=1) + matrix[:, :-1].sum(axis=0) - hits
    iou = np.full(len(hits), np.nan)
    np.divide(hits, union, out=iou, where=union > 0)
    present = iou[np.isfinite(iou)]
    return {"iou": iou, "miou": float(present.mean()) if len(present) else None}


def _share(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None
