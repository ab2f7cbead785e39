"""From maps at stride 4 to pixels, and what can be had without K maps at full size.

Shapes: B images, K classes, (h, w) = (ceil(H/4), ceil(W/4)) of the working size (H, W) at which
an image went through the encoder; `size` is the size of the outputs, nearly always the same.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]

STRIDE = 4
_CLASSES_AT_ONCE = 25
_ROWS_AT_ONCE = 16
"""On the host: what is upsampled at once stays in the processor's cache."""


def upsample(coarse: Tensor, working: Size, size: Size) -> Tensor:
    """Bilinear, from stride 4 to pixels: (B,K,h,w) -> (B,K,*size)."""
    fine = F.interpolate(coarse, scale_factor=float(STRIDE), mode="bilinear", align_corners=False)
    fine = fine[..., : working[0], : working[1]]
    if working == size:
        return fine
    return F.interpolate(fine, size, mode="bilinear", align_corners=False)


def most_likely(coarse: Tensor, working: Size, size: Size) -> Tensor:
    """Arg-max over classes of `upsample(coarse, working, size)`, uint8 (B,*size); K <= 256.

    Some classes at a time, so that the logits never exist at full size as a whole.
    """
    best, best_class = None, torch.empty(0)
    for first in range(0, coarse.shape[1], _CLASSES_AT_ONCE):
        some = coarse[:, first : first + _CLASSES_AT_ONCE]
        value, index = upsample(some, working, size).max(dim=1)
        if best is None:
            best, best_class = value, index
        else:
            better = value > best
            best = torch.where(better, value, best)
            best_class = torch.where(better, index + first, best_class)
    return best_class.to(torch.uint8)


def cross_entropy_sum(
    coarse: Tensor, labels: Tensor, weight: Tensor, working: Size | None = None
) -> Tensor:
    """Sum over pixels of weight * cross-entropy of the upsampled logits.

    Equal, value and gradient, to upsampling and then `F.cross_entropy`, but several times faster
    and without the K full-size maps: upsampling is two matrix products, taken some rows at a
    time, and the gradient is made in the same pass. It is also free of the atomic additions
    that make the gradient of `F.interpolate` on GPUs differ between runs.

    Args:
        coarse: (B,K,h,w), any float type; computed in float32.
        labels: (B,H,W), classes; what stands where `weight` is 0 does not matter (255, say).
        weight: float (B,H,W).
        working: size at which the images went through the encoder; None = (H, W).

    Returns:
        A float32 scalar. Second derivatives are not to be had.
    """
    size = (labels.shape[-2], labels.shape[-1])
    working = working or size
    rows = _linear(coarse.shape[-2], working[0], size[0]).to(coarse.device)
    columns = _linear(coarse.shape[-1], working[1], size[1]).to(coarse.device)
    bands = _bands(coarse.shape[-2], working[0], size[0], coarse.device.type)
    with torch.autocast(coarse.device.type, enabled=False):
        out: Tensor = _CrossEntropySum.apply(  # type: ignore[no-untyped-call]
            coarse.float(), labels.long(), weight.float(), rows, columns, bands
        )
    return out


class _Band(NamedTuple):
    """Rows top:bottom of the pixels, made of rows low:high of the coarse map."""

    top: int
    bottom: int
    low: int
    high: int


class _CrossEntropySum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        coarse: Tensor,
        labels: Tensor,
        weight: Tensor,
        rows: Tensor,
        columns: Tensor,
        bands: tuple[_Band, ...],
    ) -> Tensor:
        num_classes, (h, width) = coarse.shape[1], (coarse.shape[2], columns.shape[0])
        labels = labels.clamp_max(num_classes - 1)[..., None]
        weight = weight[..., None]
        total = coarse.new_zeros(())
        gradients = []
        for image, label, share in zip(coarse, labels, weight, strict=True):
            wide = (columns @ image.permute(1, 2, 0)).reshape(h, width * num_classes)
            gradient = torch.zeros_like(wide)
            for band in bands:
                part = rows[band.top : band.bottom, band.low : band.high]
                logits = part @ wide[band.low : band.high]
                log_p = logits.reshape(-1, width, num_classes).log_softmax(dim=-1)
                y, s = label[band.top : band.bottom], share[band.top : band.bottom]
                total -= (log_p.gather(-1, y) * s).sum()
                if ctx.needs_input_grad[0]:
                    slope = log_p.exp_().mul_(s).scatter_add_(-1, y, -s)
                    gradient[band.low : band.high].addmm_(part.T, slope.reshape(len(part), -1))
            gradients.append(columns.T @ gradient.reshape(h, width, num_classes))
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(torch.stack(gradients).permute(0, 3, 1, 2))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return upstream[0] * gradient, None, None, None, None, None


@functools.lru_cache(maxsize=16)
def _bands(coarse: int, working: int, size: int, device_type: str) -> tuple[_Band, ...]:
    """On a GPU the whole image at once: there, few large products are faster.

    Told from sizes alone, so that a forward asks no tensor for its values.
    """
    if device_type != "cpu":
        return (_Band(0, size, 0, coarse),)
    rows = _linear(coarse, working, size)
    bands = []
    for top in range(0, size, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, size)
        used = rows[top:bottom].any(dim=0).nonzero().flatten().tolist()
        bands.append(_Band(top, bottom, used[0], used[-1] + 1))
    return tuple(bands)


@functools.lru_cache(maxsize=16)
def _linear(coarse: int, working: int, size: int) -> Tensor:
    """(size, coarse): what `upsample` does along one side, as a matrix."""
    fine = F.interpolate(torch.eye(coarse)[None], scale_factor=float(STRIDE), mode="linear")
    fine = fine[..., :working]
    if working != size:
        fine = F.interpolate(fine, size, mode="linear")
    return fine[0].T.contiguous()
