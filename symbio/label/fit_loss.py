"""What a fitted teacher is trained on: the likelihood of the class map that inference uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_FLOOR = 1e-5


def class_map(class_logits: Tensor, mask_logits: Tensor, classes: Tensor) -> Tensor:
    """p(class | pixel) of a universal segmentation model, over the given classes.

    The semantic inference of Cheng et al. 2021 (MaskFormer, section 3.4), normalised over classes.

    Args:
        class_logits: (B, Q, num_labels + 1), the last being "no object".
        mask_logits: (B, Q, h, w).
        classes: (K,) the classes wanted.

    Returns:
        (B, K, h, w), summing to 1 over K.
    """
    share = class_logits.softmax(-1)[..., classes]
    score = torch.einsum("bqk,bqhw->bkhw", share, mask_logits.sigmoid())
    return score / (score.sum(dim=1, keepdim=True) + _FLOOR)


def pixel_map(features: Tensor, classifier: Tensor) -> Tensor:
    """p(class | pixel) of a bias-free linear classifier, in the same form.

    Args:
        features: (B, C, h, w).
        classifier: (K, C).

    Returns:
        (B, K, h, w), summing to 1 over K.
    """
    score = torch.einsum("kc,bchw->bkhw", classifier, features).sigmoid()
    return score / (score.sum(dim=1, keepdim=True) + _FLOOR)


def map_loss(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood, class-weighted; 255 is ignored.

    Args:
        probability: (B, K, h, w).
        target: (B, h, w) index into K, or 255.
        weight: (K,).
    """
    # The products that made the map left it in a layout that nll_loss does not differentiate.
    log = (probability + _FLOOR).log().contiguous()
    return F.nll_loss(log, target, weight=weight, ignore_index=255)


def sample_target(target: Tensor, size: tuple[int, int], place: tuple[float, float]) -> Tensor:
    """One full-size label for each cell of a smaller map.

    Drawn anew each step, the labels of a cell act as its soft target, at a fraction of the cost
    of upsampling all class maps.

    Args:
        target: (B, H, W).
        size: (h, w) of the map.
        place: where in a cell, down and right, each 0..1.
    """
    rows, columns = (
        ((torch.arange(cells) + offset) * (full / cells)).long().clamp(max=full - 1)
        for cells, full, offset in zip(size, target.shape[-2:], place, strict=True)
    )
    return target[:, rows][:, :, columns]
