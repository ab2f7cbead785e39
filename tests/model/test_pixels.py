"""Upsampling, arg-max and cross-entropy against their plain versions at full size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from symbio.model import pixels
from symbio.model.pixels import cross_entropy_sum, most_likely, upsample

from .builders import images, small_network

CASES = [((40, 52), (40, 52)), ((23, 31), (23, 31)), ((24, 36), (33, 29)), ((23, 31), (60, 17))]
"""(working, size): multiples of 4 and not, outputs at another size."""


def coarse_logits(working: tuple[int, int], num_classes: int = 30, seed: int = 0) -> Tensor:
    height, width = (-(-side // 4) for side in working)
    return 5.0 * images(2, num_classes, height, width, seed=seed)


def targets(size: tuple[int, int], num_classes: int = 30) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, num_classes, (2, *size), generator=generator, dtype=torch.uint8)
    weight = torch.rand((2, *size), generator=generator)
    ignored = weight < 0.3
    return labels.masked_fill(ignored, 255), weight.masked_fill(ignored, 0.0)


def test_upsampling_is_bilinear_with_half_pixel_centres():
    """A ramp stays a ramp: pixel x lies at (x + 0.5) / 4 - 0.5 of the coarse map."""
    ramp = torch.arange(8.0).expand(1, 1, 3, 8)
    expected = ((torch.arange(30.0) + 0.5) / 4 - 0.5).clamp(0.0, 7.0)
    torch.testing.assert_close(upsample(ramp, (10, 30), (10, 30))[0, 0, 5], expected)


@pytest.mark.parametrize(("working", "size"), CASES, ids=str)
def test_most_likely_is_the_arg_max_at_full_size(working, size):
    coarse = coarse_logits(working, num_classes=150)
    expected = upsample(coarse, working, size).argmax(dim=1)
    assert torch.equal(most_likely(coarse, working, size).long(), expected)


def test_ties_go_to_the_first_class():
    assert most_likely(torch.zeros(1, 60, 2, 2), (8, 8), (8, 8)).max() == 0


@pytest.mark.parametrize(("working", "size"), CASES, ids=str)
@pytest.mark.parametrize("rows", [5, 1000])
def test_cross_entropy_equals_the_plain_one_in_value_and_gradient(monkeypatch, working, size, rows):
    monkeypatch.setattr(pixels, "_ROWS_AT_ONCE", rows)
    labels, weight = targets(size)
    plain, ours = (coarse_logits(working).requires_grad_() for _ in range(2))
    fine = upsample(plain, working, size)
    entropy = F.cross_entropy(fine, labels.long(), ignore_index=255, reduction="none")
    expected = (entropy * weight).sum()
    (0.5 * expected).backward()
    value = cross_entropy_sum(ours, labels, weight, working)
    (0.5 * value).backward()
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0.0)
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-4, atol=1e-5)


def test_cross_entropy_stands_large_logits_and_no_labels():
    labels, weight = targets((16, 16))
    coarse = (1e4 * coarse_logits((16, 16))).requires_grad_()
    value = cross_entropy_sum(coarse, labels, weight)
    value.backward()
    assert value.isfinite()
    assert coarse.grad.isfinite().all()
    nothing = cross_entropy_sum(coarse, torch.full_like(labels, 255), torch.zeros_like(weight))
    coarse.grad = None
    nothing.backward()
    assert nothing == 0.0
    assert torch.equal(coarse.grad, torch.zeros_like(coarse))


def test_cross_entropy_is_float32_under_autocast_and_works_without_gradient():
    labels, weight = targets((16, 16))
    coarse = coarse_logits((16, 16)).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = cross_entropy_sum(coarse, labels, weight)
    value.backward()
    assert value.dtype == torch.float32
    assert coarse.grad.dtype == torch.bfloat16
    with torch.no_grad():
        assert torch.equal(cross_entropy_sum(coarse, labels, weight), value)


def test_training_may_follow_inference():
    """What is kept between calls was first made in inference mode."""
    pixels._linear.cache_clear()
    labels, weight = targets((16, 16))
    with torch.inference_mode():
        expected = cross_entropy_sum(coarse_logits((16, 16)), labels, weight).item()
    coarse = coarse_logits((16, 16)).requires_grad_()
    value = cross_entropy_sum(coarse, labels, weight)
    value.backward()
    assert value.item() == expected
    assert coarse.grad.abs().max() > 0


@pytest.mark.parametrize("size", [(88, 120), (50, 90)], ids=str)
def test_the_networks_own_cross_entropy_is_that_of_its_full_logits(size):
    network = small_network().eval()
    image = images(2, 3, *size)
    labels, weight = targets(size, num_classes=11)
    with torch.no_grad():
        full, coarse = network(image).logits, network(image, coarse_logits=True).logits
        entropy = F.cross_entropy(full, labels.long(), ignore_index=255, reduction="none")
        value = network.cross_entropy_sum(coarse, labels, weight)
    torch.testing.assert_close(value, (entropy * weight).sum(), rtol=1e-4, atol=0.0)
