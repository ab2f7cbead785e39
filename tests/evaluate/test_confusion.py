from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symbio.errors import SymbioError
from symbio.evaluate.accumulate import SemanticScores
from symbio.evaluate.confusion import Confusion, confusion_matrix
from symbio.evaluate.constant import most_frequent_class


def confusion_of(prediction: list[int], truth: list[int], num_classes: int) -> Confusion:
    maps = (torch.tensor(values, dtype=torch.uint8) for values in (prediction, truth))
    return Confusion(confusion_matrix(*maps, num_classes).numpy())


def test_matrix_of_a_few_pixels() -> None:
    confusion = confusion_of([0, 1, 1, 255, 2, 0], [0, 0, 1, 1, 255, 2], 3)
    assert confusion.matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 0]]


def test_scores_by_hand() -> None:
    # Class 0: TP 1, FP 1, FN 1. Class 1: TP 1, FP 1, FN 1 (a miss to no class). Class 2: FN 1.
    scores = confusion_of([0, 1, 1, 255, 2, 0], [0, 0, 1, 1, 255, 2], 3).scores()
    assert scores["miou"] == pytest.approx((1 / 3 + 1 / 3 + 0) / 3)
    assert scores["pixel_accuracy"] == 2 / 5
    assert scores["mean_accuracy"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert scores["num_classes"] == 3


def test_class_absent_from_both_is_skipped_and_not_zero() -> None:
    confusion = confusion_of([3, 3, 7], [3, 3, 7], 10)
    assert confusion.scores()["miou"] == 1.0
    assert confusion.scores()["num_classes"] == 2
    assert np.isnan(confusion.iou).sum() == 8


def test_class_only_in_the_prediction_counts_as_zero() -> None:
    scores = confusion_of([3, 4], [3, 3], 10).scores()
    assert scores["miou"] == pytest.approx(0.5 / 2)
    assert scores["mean_accuracy"] == 0.5


def test_reachable_mean_leaves_out_what_no_prediction_can_be() -> None:
    confusion = confusion_of([0, 0, 1], [0, 2, 1], 3)
    reachable = np.array([True, True, False])
    scores = confusion.scores(reachable)
    assert scores["miou"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert scores["miou_reachable"] == pytest.approx((0.5 + 1) / 2)


def test_nothing_labelled_gives_nan_and_not_zero() -> None:
    scores = confusion_of([1, 2], [255, 255], 5).scores()
    assert all(math.isnan(scores[name]) for name in ("miou", "pixel_accuracy", "mean_accuracy"))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num_classes=st.integers(1, 150), cuts=st.integers(1, 5))
def test_equal_to_counting_pixel_by_pixel_and_additive(
    seed: int, num_classes: int, cuts: int
) -> None:
    rng = np.random.default_rng(seed)
    values = np.append(np.arange(num_classes), 255).astype(np.uint8)
    truth, prediction = rng.choice(values, (2, 120))
    wanted = np.zeros((num_classes, num_classes + 1), np.int64)
    for t, p in zip(truth.tolist(), prediction.tolist(), strict=True):
        if t != 255:
            wanted[t, min(p, num_classes)] += 1
    whole, parts = SemanticScores(num_classes), SemanticScores(num_classes)
    whole.add(torch.from_numpy(prediction), torch.from_numpy(truth))
    for p, t in zip(np.array_split(prediction, cuts), np.array_split(truth, cuts), strict=True):
        one = SemanticScores(num_classes)
        one.add(torch.from_numpy(p), torch.from_numpy(t))
        parts.merge(one)
    assert whole.matrix.tolist() == wanted.tolist()
    assert parts.matrix.equal(whole.matrix)
    assert whole.num_pixels == (truth != 255).sum()


def test_most_frequent_class_is_the_best_constant() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(6, 300, p=[0.1, 0.3, 0.05, 0.35, 0.2, 0.0]).tolist()
    chosen, constant = most_frequent_class(confusion_of([0] * 300, truth, 6))
    rivals = [confusion_of([label] * 300, truth, 6).scores() for label in range(6)]
    assert chosen == max(range(6), key=truth.count)
    assert constant.scores() == rivals[chosen]
    assert constant.scores()["pixel_accuracy"] == max(r["pixel_accuracy"] for r in rivals)
    assert constant.scores()["miou"] == max(r["miou"] for r in rivals)


def test_a_truth_outside_the_label_space_is_refused() -> None:
    with pytest.raises(SymbioError, match="class 7 of 5 classes"):
        confusion_of([0, 1], [0, 7], 5)
