"""silog and cross-entropy against closed forms and plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from symbio.model.network import build_network
from symbio.train.loss import MAX_CLASS_WEIGHT, class_weights, pixel_weights, silog
from symbio.train.objective import Objective
from tests.data.prepared import tiny_params

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


def test_pixel_weights_equal_numpy() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 5, (2, 6, 6)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = 255
    confidence = rng.integers(0, 256, labels.shape).astype(np.uint8)
    weights = np.array([1.0, 0.5, 2.0, 1.0, 3.0], np.float32)
    arguments = (torch.from_numpy(array) for array in (labels, confidence, weights))
    expected = np.zeros(labels.shape)
    for place in np.argwhere(labels != 255):
        expected[*place] = confidence[*place] / 255 * weights[labels[*place]]
    assert pixel_weights(*arguments).numpy() == pytest.approx(expected, rel=1e-6)
    plain = pixel_weights(torch.from_numpy(labels), torch.from_numpy(confidence)).numpy()
    assert plain == pytest.approx(np.where(labels == 255, 0, confidence / 255.0), rel=1e-6)


@pytest.mark.parametrize("labelled", [True, False])
def test_semantic_loss_is_the_weighted_mean_of_full_size_cross_entropy(labelled: bool) -> None:
    """The objective's loss on coarse logits against a plain loop over pixels of upsampled ones."""
    params = tiny_params(**{"model.encoder": "test_convnext", "model.channels": 8})
    network = build_network(params.model, (64, 64), 10.0, 0.25)
    objective = Objective(network, params.train, (0.25, 10.0), None)
    rng = np.random.default_rng(3)
    image = torch.from_numpy(rng.integers(0, 256, (1, 3, 64, 64), dtype=np.uint8))
    labels = rng.integers(0, 150, (1, 64, 64)).astype(np.uint8)
    labels[rng.random(labels.shape) < (0.3 if labelled else 2.0)] = 255
    confidence = rng.integers(0, 256, labels.shape).astype(np.uint8)
    losses = objective(
        image, torch.zeros(1, 64, 64), torch.from_numpy(labels), torch.from_numpy(confidence)
    )
    losses.total.backward()
    full = network(network.normalise(image)).logits
    assert full is not None
    logits = full.detach().numpy().astype(float)
    total = norm = 0.0
    for _, y, x in np.argwhere(labels != 255):
        scores, label = logits[0, :, y, x], labels[0, y, x]
        total += confidence[0, y, x] / 255 * (np.log(np.exp(scores).sum()) - scores[label])
        norm += confidence[0, y, x] / 255
    assert losses.semantic.item() == pytest.approx(total / max(norm, 1e-6), rel=1e-4)
    gradient = network.head_semantic.out.weight.grad
    assert gradient is not None
    assert bool(gradient.abs().max() > 0) == labelled


def test_class_weights() -> None:
    histogram = torch.tensor([600.0, 300.0, 100.0, 0.0])
    assert torch.equal(class_weights(histogram, 0.0), torch.ones(4))
    inverse = class_weights(histogram, 1.0)
    # Every class that occurs then weighs the same: share * weight = 1 / 3.
    torch.testing.assert_close(histogram[:3] / 1000 * inverse[:3], torch.full((3,), 1 / 3))
    assert inverse[3] == 1
    assert class_weights(torch.tensor([1e6, 1.0]), 1.0)[1] == MAX_CLASS_WEIGHT
    assert torch.equal(class_weights(torch.zeros(3), 1.0), torch.ones(3))
