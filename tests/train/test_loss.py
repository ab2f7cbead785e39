"""silog and cross-entropy against closed forms and plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from symbio.train.loss import MAX_CLASS_WEIGHT, class_weights, semantic_cross_entropy, silog

RANGE = (0.1, 10.0)


def test_silog_of_a_constant_factor_has_a_closed_form() -> None:
    target = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0)) * 5 + 1
    for focus in (0.0, 0.85):
        # d = ln 1.5 everywhere: sqrt(d^2 - focus d^2) = ln 1.5 sqrt(1 - focus)
        expected = 10 * math.log(1.5) * math.sqrt(1 - focus)
        assert silog(target * 1.5, target, RANGE, focus, 10.0).item() == pytest.approx(expected)
    assert silog(target * 1.5, target, RANGE, 1.0, 10.0).item() == pytest.approx(0.0, abs=2e-3)


def test_silog_equals_numpy_on_the_measured_pixels_in_range() -> None:
    rng = np.random.default_rng(1)
    depth, target = rng.uniform(0.5, 9, (3, 16, 16)), rng.uniform(0.5, 12, (3, 16, 16))
    target[rng.random(target.shape) < 0.6] = 0
    counted = (target > 0) & (target <= 10)
    d = np.log(depth[counted]) - np.log(target[counted])
    expected = 10 * np.sqrt((d**2).mean() - 0.85 * d.mean() ** 2)
    found = silog(torch.from_numpy(depth), torch.from_numpy(target), RANGE, 0.85, 10.0)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_silog_gradient_is_the_numerical_one_and_none_flows_from_holes() -> None:
    depth = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]], requires_grad=True)
    target = torch.tensor([[[1.5, 0.0, 2.0, 5.0]]])
    silog(depth, target, RANGE, 0.85, 10.0).backward()
    assert depth.grad is not None
    assert depth.grad[0, 0, 1] == 0
    for pixel in (0, 2, 3):
        step = torch.zeros_like(depth)
        step[0, 0, pixel] = 1e-2
        up, down = (
            silog((depth + sign * step).detach(), target, RANGE, 0.85, 10.0) for sign in (1, -1)
        )
        slope = (up - down).item() / 2e-2
        assert depth.grad[0, 0, pixel].item() == pytest.approx(slope, rel=1e-2)


def test_silog_without_any_measurement_is_zero_with_zero_gradient() -> None:
    depth = torch.full((1, 4, 4), 2.0, requires_grad=True)
    loss = silog(depth, torch.zeros(1, 4, 4), RANGE, 0.85, 10.0)
    loss.backward()
    assert loss.item() == 0
    assert depth.grad is not None
    assert depth.grad.abs().max() == 0


def test_a_perfect_prediction_has_a_finite_gradient_and_nan_stays_nan() -> None:
    target = torch.full((1, 4, 4), 2.0)
    depth = target.clone().requires_grad_()
    silog(depth, target, RANGE, 0.85, 10.0).backward()
    assert depth.grad is not None
    assert depth.grad.isfinite().all()
    assert silog(target * float("nan"), target, RANGE, 0.85, 10.0).isnan()


def test_cross_entropy_equals_numpy() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(2, 5, 6, 6)).astype(np.float32)
    labels = rng.integers(0, 5, (2, 6, 6)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = 255
    confidence = rng.integers(0, 256, labels.shape).astype(np.uint8)
    weights = np.array([1.0, 0.5, 2.0, 1.0, 3.0], np.float32)
    total = norm = 0.0
    for b, y, x in np.argwhere(labels != 255):
        scores = logits[b, :, y, x].astype(float)
        label = labels[b, y, x]
        weight = confidence[b, y, x] / 255 * weights[label]
        total += weight * (np.log(np.exp(scores).sum()) - scores[label])
        norm += weight
    arguments = (torch.from_numpy(array) for array in (logits, labels, confidence, weights))
    assert semantic_cross_entropy(*arguments).item() == pytest.approx(total / norm, rel=1e-5)


def test_cross_entropy_without_labels_is_zero_with_zero_gradient() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    nothing = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    loss = semantic_cross_entropy(logits, nothing, nothing, torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_class_weights() -> None:
    histogram = torch.tensor([600.0, 300.0, 100.0, 0.0])
    assert torch.equal(class_weights(histogram, 0.0), torch.ones(4))
    inverse = class_weights(histogram, 1.0)
    # Every class that occurs then weighs the same: share * weight = 1 / 3.
    torch.testing.assert_close(histogram[:3] / 1000 * inverse[:3], torch.full((3,), 1 / 3))
    assert inverse[3] == 1
    assert class_weights(torch.tensor([1e6, 1.0]), 1.0)[1] == MAX_CLASS_WEIGHT
    assert torch.equal(class_weights(torch.zeros(3), 1.0), torch.ones(3))
