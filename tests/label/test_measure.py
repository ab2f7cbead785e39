"""The counts of a frame against a slow plain count, and what the report makes of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from symbio.data.classes import label_space
from symbio.label.measure import DEPTH_EDGES_M, is_kept, measure
from symbio.label.quality import Quality, calibration, calibration_error, thresholds

NYU = label_space("nyu894")


def case(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = (30, 40)
    return {
        "label": rng.integers(0, 150, size).astype(np.uint8),
        "confidence": rng.integers(0, 256, size).astype(np.uint8),
        "truth": rng.integers(0, 895, size).astype(np.uint16),
        "depth_m": (rng.uniform(0, 12, size) * (rng.random(size) < 0.7)).astype(np.float32),
        "mirrored": rng.integers(0, 2, size).astype(np.uint8),
    }


def measured(min_confidence: float = 0.5, **changes: np.ndarray | None):
    arrays = case() | changes
    return measure(
        arrays["label"],
        arrays["confidence"],
        min_confidence,
        arrays["truth"],
        NYU,
        arrays["depth_m"],
        DEPTH_EDGES_M["nyu"],
        arrays["mirrored"],
    )


def test_counts_equal_a_plain_count() -> None:
    arrays, found = case(), measured()
    edges = DEPTH_EDGES_M["nyu"]
    confusion = np.zeros((40, 41), int)
    labelled, correct = np.zeros(256, int), np.zeros(256, int)
    depth = np.zeros((len(edges) - 1, 4), int)
    for label, confidence, truth, metres in zip(
        *(arrays[k].ravel() for k in ("label", "confidence", "truth", "depth_m")), strict=True
    ):
        mapped, wanted = int(NYU.from_ade20k[label]), int(NYU.from_truth[truth])
        hit = wanted != 255 and mapped == wanted
        if wanted != 255:
            confusion[wanted, min(mapped, 40)] += 1
            labelled[confidence] += 1
            correct[confidence] += hit
        for i, (low, high) in enumerate(itertools.pairwise(edges)):
            if low < metres <= high:
                depth[i] += (1, confidence / 255 >= 0.5, wanted != 255, hit)
    np.testing.assert_array_equal(found.confusion, confusion)
    np.testing.assert_array_equal(found.labelled, labelled)
    np.testing.assert_array_equal(found.correct, correct)
    np.testing.assert_array_equal(found.depth, depth)
    np.testing.assert_array_equal(
        found.confidence, np.bincount(arrays["confidence"].ravel(), minlength=256)
    )
    kept = arrays["confidence"] / 255 >= 0.5
    np.testing.assert_array_equal(
        found.classes[:, 0], np.bincount(arrays["label"].ravel(), minlength=150)
    )
    np.testing.assert_array_equal(
        found.classes[:, 1], np.bincount(arrays["label"][kept], minlength=150)
    )
    assert found.flip.tolist() == [1200, int((arrays["label"] == arrays["mirrored"]).sum())]


def test_a_frame_without_truth_measures_the_rest() -> None:
    found = measured(truth=None, mirrored=None)
    assert found.labelled.sum() == found.correct.sum() == found.confusion.sum() == 0
    assert found.confidence.sum() == 1200
    assert found.depth[:, 0].sum() > 0
    assert found.flip.tolist() == [0, 0]


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.7, 128 / 255, 1.0])
def test_threshold_is_inclusive_at_the_stored_resolution(threshold: float) -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(is_kept(levels, threshold), levels / 255 >= threshold - 1e-9)


def quality_of(*frames, min_confidence: float = 0.5) -> Quality:
    quality = Quality("nyu894", DEPTH_EDGES_M["nyu"], min_confidence)
    for number, frame in enumerate(frames):
        quality.add("train" if number else "test", f"frame{number}", frame, (1000 + number, 500))
    return quality


def test_perfect_labels_have_perfect_scores() -> None:
    names = NYU.names
    wall, bed = names.index("wall"), names.index("bed")
    ade = {int(c): int(np.flatnonzero(NYU.from_ade20k == c)[0]) for c in (wall, bed)}
    own = {int(c): int(np.flatnonzero(NYU.from_truth == c)[0]) for c in (wall, bed)}
    half = np.arange(1200).reshape(30, 40) < 600
    label = np.where(half, ade[wall], ade[bed]).astype(np.uint8)
    truth = np.where(half, own[wall], own[bed]).astype(np.uint16)
    sure = np.full((30, 40), 255, np.uint8)
    found = quality_of(
        measured(label=label, truth=truth, confidence=sure, mirrored=label)
    ).summary()
    assert found["pixel_accuracy"] == found["miou"] == found["kept_share"] == 1.0
    assert found["flip_agreement"] == 1.0
    assert found["calibration_error"] == 0.0
    assert [row["name"] for row in found["classes"]] == ["wall", "bed"]
    assert all(row["iou"] == row["precision"] == row["recall"] == 1.0 for row in found["classes"])
    assert {row["pixel_accuracy"] for row in found["depth_ranges_m"]} == {1.0}


def test_totals_do_not_depend_on_how_frames_are_grouped() -> None:
    frames = [measured(**case(seed)) for seed in range(3)]
    together = quality_of(*frames).summary()
    total = frames[2] + (frames[0] + frames[1])
    rows = together["thresholds"]
    assert rows == thresholds(total)
    assert rows[0]["kept_share"] == 1.0
    shares = [row["kept_share"] for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert together["num_frames"] == 3
    assert set(together["splits"]) == {"train", "test"}
    assert len(together["worst_frames"]) == 3
    assert together["bytes_a_frame"] == {"label": 1001, "confidence": 500}


def test_calibration_error_of_a_teacher_that_is_always_half_sure() -> None:
    confidence = np.full((30, 40), 128, np.uint8)
    found = measured(confidence=confidence)
    rows = calibration(found)
    assert len(rows) == 1
    right = found.correct.sum() / found.labelled.sum()
    assert rows[0]["accuracy"] == pytest.approx(right)
    assert calibration_error(found) == pytest.approx(abs(128 / 255 - right))


def test_without_any_truth_scores_are_null_and_the_least_sure_frames_are_worst() -> None:
    sure = measured(truth=None, confidence=np.full((30, 40), 200, np.uint8))
    unsure = measured(truth=None, confidence=np.full((30, 40), 20, np.uint8))
    quality = quality_of(sure, unsure)
    found = quality.summary()
    assert found["pixel_accuracy"] is found["miou"] is found["calibration_error"] is None
    assert found["kept_share"] == 0.5
    assert quality.worst() == ["frame1", "frame0"]


def test_typical_frames_lie_evenly_over_the_set() -> None:
    frame = measured(**case(0))
    for count in (1, 4, 30):
        keys = quality_of(*[frame] * count).typical()
        places = [int(key.removeprefix("frame")) for key in keys]
        assert len(set(places)) == min(count, 4)
        gaps = np.diff([-places[0] - 1, *places, 2 * count - places[-1] - 1])
        assert gaps.max() - gaps.min() <= 2


def test_pixels_that_labels_from_elsewhere_ignore_are_in_no_class_and_not_kept() -> None:
    label = np.full((30, 40), 3, np.uint8)
    label[:10] = 255
    found = measured(label=label, confidence=np.where(label == 255, 0, 200).astype(np.uint8))
    assert found.classes.sum(axis=0).tolist() == [800, 800]
    assert quality_of(found, min_confidence=0.0).summary()["kept_share"] == pytest.approx(2 / 3)
