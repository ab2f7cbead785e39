"""Class and confidence of each pixel, in bounded memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symbio.label.teacher import Teacher

_BLOCK_VALUES = 2**20
"""Probabilities held at once while upsampling, in each of a handful of buffers (4 MiB)."""


def predict(
    teacher: Teacher,
    image: Tensor,
    flip_average: bool = False,
    image_size: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """The teacher's labels at the size of the images.

    Args:
        teacher: from `load_teacher`.
        image: uint8 (B, 3, H, W), RGB.
        flip_average: average the class maps of the image and of its mirror image.
        image_size: (height, width) that the teacher sees; None keeps its processor's own.

    Returns:
        class uint8 (B, H, W) and confidence uint8 (B, H, W): round(255 p) of the arg-max class.
    """
    maps = class_maps(teacher, image, image_size)
    if flip_average:
        maps = (maps + class_maps(teacher, image.flip(-1), image_size).flip(-1)) / 2
    return upsample(maps, (image.shape[-2], image.shape[-1]))


@torch.inference_mode()
def class_maps(
    teacher: Teacher, image: Tensor, image_size: tuple[int, int] | None = None
) -> Tensor:
    """p(class | pixel) at the model's own output size: float32 (B, 150, h, w), summing to 1.

    Universal models: the semantic inference of MaskFormer (Cheng et al. 2021, section 3.4), the
    sum over queries of class share times mask, normalised over the classes.
    """
    options: dict[str, Any] = {}
    if image_size is not None:
        options["size"] = {"height": image_size[0], "width": image_size[1]}
    pixels = _pixels(teacher, image, options)
    inputs = {"pixel_values": pixels}
    if teacher.task_tokens is not None:
        inputs["task_inputs"] = teacher.task_tokens.to(teacher.device).expand(len(image), -1)
    # Without the cache of converted weights, which would hold them a second time: each is used
    # once a batch.
    half = teacher.precision == "bf16"
    with torch.autocast(teacher.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        outputs = teacher.model(**inputs)
    if hasattr(outputs, "logits") and outputs.logits is not None:
        semantic: Tensor = outputs.logits.float().softmax(dim=1)
        return semantic
    share = outputs.class_queries_logits.float().softmax(dim=-1)[..., :-1]
    mask = outputs.masks_queries_logits.float().sigmoid()
    score = torch.einsum("bqk,bqhw->bkhw", share, mask)
    return score / score.sum(dim=1, keepdim=True).clamp_min(1e-12)


def _pixels(teacher: Teacher, image: Tensor, options: dict[str, Any]) -> Tensor:
    """What the model sees: resized with antialiasing, normalised, not padded."""
    processor = teacher.processor
    kwargs: dict[str, Any] = {"return_tensors": "pt", **options}
    if teacher.task_tokens is not None:
        kwargs["task_inputs"] = ["semantic"] * len(image)
    pixels: Tensor = processor(list(image), **kwargs)["pixel_values"]
    return pixels.to(teacher.device)


@torch.inference_mode()
def upsample(maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Arg-max class and its probability after bilinear upsampling.

    Equal to interpolating all class maps to `size` (align_corners=False) and taking the maximum,
    without ever holding them at that size: where the four surrounding cells agree on the class,
    it wins everywhere between them, and its probability alone is interpolated. The other pixels
    are computed in blocks.

    Args:
        maps: float32 (B, K, h, w), non-negative, summing to 1 over K.
        size: (H, W).

    Returns:
        uint8 (B, H, W) class, uint8 (B, H, W) round(255 p), on the CPU.
    """
    pairs = [_upsample_one(own, size) for own in maps]
    label = torch.stack([pair[0] for pair in pairs]).to(torch.uint8).cpu()
    probability = torch.stack([pair[1] for pair in pairs])
    return label, (probability * 255).round().clamp(0, 255).to(torch.uint8).cpu()


def _upsample_one(maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(K, h, w) -> class (H, W) and its probability (H, W)."""
    classes, rows, columns = maps.shape
    above, below, weight_y = _bilinear(rows, size[0], maps.device)
    left, right, weight_x = _bilinear(columns, size[1], maps.device)
    best, index = maps.max(dim=0)
    lines = torch.lerp(best[above], best[below], weight_y[:, None])
    probability = torch.lerp(lines[:, left], lines[:, right], weight_x)
    label = index[above][:, left]
    agree = label == index[below][:, left]
    agree &= (label == index[above][:, right]) & (label == index[below][:, right])
    # Somewhere else a class may win with 1/K at least; one that stays below cannot.
    alive = (maps.amax(dim=(1, 2)) >= 1 / classes).nonzero()[:, 0]
    cells = maps[alive].flatten(1).T.contiguous()
    for block in torch.split((~agree).nonzero(), max(1, _BLOCK_VALUES // len(alive))):
        y, x = block[:, 0], block[:, 1]
        upper, lower = above[y] * columns, below[y] * columns
        wx, wy = weight_x[x][:, None], weight_y[y][:, None]
        top = torch.lerp(cells[upper + left[x]], cells[upper + right[x]], wx)
        bottom = torch.lerp(cells[lower + left[x]], cells[lower + right[x]], wx)
        value, place = torch.lerp(top, bottom, wy).max(dim=1)
        probability[y, x] = value
        label[y, x] = alive[place]
    return label, probability


def _bilinear(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each target pixel the two source pixels around its centre and the second's weight."""
    centre = (torch.arange(target, device=device, dtype=torch.float32) + 0.5) * (source / target)
    place = (centre - 0.5).clamp(0, source - 1)
    first = place.floor().long()
    return first, (first + 1).clamp(max=source - 1), place - first
