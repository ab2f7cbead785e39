"""Network and loss as one module, so that the engine's forward returns the loss."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from symbio.model.network import SymbioticNetwork
from symbio.params import TrainParams
from symbio.train.loss import LEAST_WEIGHT, pixel_weights, silog


class Losses(NamedTuple):
    """Float32 scalars of one micro-batch."""

    total: Tensor
    """What is minimised."""
    silog: Tensor
    """Depth, without gradient."""
    semantic: Tensor
    """Cross-entropy before its weight, without gradient; 0 for a network without semantics."""


class Objective(nn.Module):
    """silog + semantic_weight * cross-entropy of one micro-batch."""

    class_weights: Tensor | None

    def __init__(
        self,
        network: SymbioticNetwork,
        params: TrainParams,
        depth_range: tuple[float, float],
        class_weights: Tensor | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.params = params
        self.depth_range = depth_range
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, image: Tensor, depth: Tensor, semantic: Tensor, confidence: Tensor) -> Losses:
        """Loss of B frames.

        Args:
            image: uint8 (B, 3, H, W), RGB.
            depth: float32 (B, H, W), metres, 0 = no measurement.
            semantic: uint8 (B, H, W), 255 = ignore.
            confidence: uint8 (B, H, W).
        """
        # The logits stay at stride 4: 150 maps at full size would cost more than the network.
        prediction = self.network(self.network.normalise(image), coarse_logits=True)
        params = self.params
        with torch.autocast(image.device.type, enabled=False):
            depth_loss = silog(
                prediction.depth, depth, self.depth_range, params.variance_focus, params.silog_scale
            )
            semantic_loss = depth_loss.new_zeros(())
            if prediction.logits is not None:
                weight = pixel_weights(semantic, confidence, self.class_weights)
                entropy = self.network.cross_entropy_sum(prediction.logits, semantic, weight)
                semantic_loss = entropy / weight.sum().clamp_min(LEAST_WEIGHT)
            loss = depth_loss + params.semantic_weight * semantic_loss
        return Losses(loss, depth_loss.detach(), semantic_loss.detach())
