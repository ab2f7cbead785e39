"""From pictures to depth and classes: the one way in, for prediction and for serving.

Shapes: B images, H rows and W columns of the pictures; h, w the size that the network sees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from symbio.data.resize import resize_rgb
from symbio.model.network import SymbioticNetwork

_CLASSES_AT_ONCE = 15


class Inference(NamedTuple):
    """What the network says about B pictures, at the pictures' own size."""

    depth_m: NDArray[np.float32]
    """(B, H, W), metres."""
    classes: NDArray[np.uint8] | None
    """(B, H, W), class of the network's own (`saved.spoken`); None where it says depth alone."""


@torch.inference_mode()
def infer(network: SymbioticNetwork, images: NDArray[np.uint8]) -> Inference:
    """Predict depth and classes of pictures of any one size.

    Pictures are brought to the size that the network was trained on, whatever their shape, as
    evaluation does, and its outputs back, bilinearly.

    Args:
        network: in evaluation mode, on any device.
        images: uint8 (B, H, W, 3), RGB.

    Raises:
        ValueError: `images` has another shape or type.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not images.size:
        raise ValueError(
            f"pictures must be uint8 (B, H, W, 3), found {images.dtype} {images.shape}"
        )
    size = (images.shape[1], images.shape[2])
    views = np.stack([resize_rgb(image, network.image_size) for image in images])
    device = next(network.parameters()).device
    view_B3hw = torch.from_numpy(views).to(device).permute(0, 3, 1, 2)
    prediction = network(network.normalise(view_B3hw), coarse_logits=True)
    depth_BHW = _resized(prediction.depth.float()[:, None], size)[:, 0]
    classes = None
    if prediction.logits is not None:
        classes = _classes(network, prediction.logits, size).cpu().numpy()
    return Inference(depth_BHW.cpu().numpy(), classes)


def _classes(network: SymbioticNetwork, coarse: Tensor, size: tuple[int, int]) -> Tensor:
    """Arg-max over classes at the pictures' size, a few classes at a time; lowest among equals.

    All 150 maps of one 12-megapixel photograph at once would take 7 GB.
    """
    best = classes = None
    for start in range(0, coarse.shape[1], _CLASSES_AT_ONCE):
        part = coarse[:, start : start + _CLASSES_AT_ONCE].float()
        fine = _resized(network.upsample_logits(part, network.image_size), size)
        value, index = fine.max(dim=1)
        index = (index + start).to(torch.uint8)
        if best is None or classes is None:
            best, classes = value, index
        else:
            classes = torch.where(value > best, index, classes)
            best = torch.maximum(best, value)
    assert classes is not None
    return classes


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, K, h, w) -> (B, K, H, W), bilinear."""
    if (maps.shape[-2], maps.shape[-1]) == size:
        return maps
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)
