"""The training loss: scale-invariant log depth error plus confidence-weighted cross-entropy.

Shapes: B frames, K classes, H rows, W columns. Depth is in metres, 0 where nothing was measured.
Both losses are computed in float32 whatever the autocast says, and without boolean indexing, so
that a GPU never waits for the host.
"""

from __future__ import annotations

import torch
from torch import Tensor

from symbio.data.classes import IGNORE

MAX_CLASS_WEIGHT = 10.0
"""Upper limit of a class weight: a class of a few pixels must not own the gradient (ours)."""

LEAST_WEIGHT = 1e-6
"""Bounds the sum of pixel weights from below, so that a batch without labels has loss 0."""

_LEAST_DEPTH_M = 1e-6
_LEAST_SQUARE = 1e-8


def silog(
    depth: Tensor,
    target: Tensor,
    depth_range: tuple[float, float],
    variance_focus: float,
    scale: float,
) -> Tensor:
    """scale * sqrt(mean(d^2) - variance_focus * mean(d)^2), d = log depth - log target.

    Means run over the pixels of `target` that lie in `depth_range` (metres), hence over measured
    pixels only (Eigen et al., 2014, with the square root of Lee et al., 2019). Written as
    variance + (1 - variance_focus) * mean^2, which cannot go below zero by rounding.

    Args:
        depth: (B, H, W), predicted metres, positive.
        target: (B, H, W), metres, 0 = no measurement.
        depth_range: smallest and largest target that counts, metres.
        variance_focus: 1 ignores the global scale, 0 counts it fully.
        scale: factor in front.

    Returns:
        A float32 scalar; exactly 0, with zero gradient, where no pixel was measured.
    """
    depth, target = depth.float(), target.float()
    measured = (target >= depth_range[0]) & (target <= depth_range[1]) & (target > 0)
    count = measured.sum().clamp_min(1)
    difference = depth.clamp_min(_LEAST_DEPTH_M).log() - torch.where(measured, target, 1.0).log()
    difference = torch.where(measured, difference, 0.0)
    mean = difference.sum() / count
    deviation = torch.where(measured, difference - mean, 0.0)
    square = deviation.square().sum() / count + (1.0 - variance_focus) * mean.square()
    # The slope of sqrt is infinite at 0; below the limit the gradient is zero instead.
    return scale * square.clamp_min(_LEAST_SQUARE).sqrt() * measured.any()


def pixel_weights(
    semantic: Tensor, confidence: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """Weight of each pixel in the cross-entropy: the teacher's confidence, times its class's.

    Args:
        semantic: (B, H, W) uint8, classes; 255 is ignored.
        confidence: (B, H, W) uint8, 0..255 for 0..1.
        class_weights: (K,) float32, or None.

    Returns:
        (B, H, W) float32; 0 where `semantic` is 255.
    """
    weight = torch.where(semantic != IGNORE, confidence.float() / 255.0, 0.0)
    if class_weights is not None:
        weight = weight * class_weights[semantic.long().clamp_max(len(class_weights) - 1)]
    return weight


def class_weights(histogram: Tensor, balance: float) -> Tensor:
    """Class weights frequency^-balance, scaled so that the mean over labelled pixels is 1.

    Args:
        histogram: (K,) pixel counts of the pseudo-labels; classes that never occur get weight 1.
        balance: 0 gives ones, 1 the inverse frequency.

    Returns:
        (K,) float32, at most `MAX_CLASS_WEIGHT`.
    """
    counts = histogram.double()
    if counts.sum() == 0:
        return torch.ones(len(counts))
    share = counts / counts.sum()
    weights = torch.where(share > 0, share.clamp_min(1e-12) ** -balance, 0.0)
    weights = weights / (share * weights).sum()
    return torch.where(share > 0, weights.clamp_max(MAX_CLASS_WEIGHT), 1.0).float()
