"""What is scored: a network, or a constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from symbio.model.network import SymbioticNetwork

_CLASSES_AT_ONCE = 16
_REACH = 3
"""Pixels of the coarse logits to each side that an interpolated value may depend on: two, were they
brought to full size at once; one more where they pass through a size in between."""
_ROUNDING = 2.0**-6
"""Of the greatest logit: more than interpolating in bfloat16 loses."""


class Guess(NamedTuple):
    """Prediction for B views, at the size that was asked for."""

    depth_m: Tensor
    """float32 (B, H, W), metres."""
    classes: Tensor | None
    """uint8 (B, H, W), class of the network's own; None where none is predicted."""


Predictor = Callable[[Tensor, tuple[int, int]], Guess]
"""uint8 views (B, 3, h, w) and the (H, W) wanted -> Guess."""


def network_predictor(network: SymbioticNetwork, flip: bool = False) -> Predictor:
    """The network in inference mode; its outputs are resized bilinearly, corners not aligned.

    Args:
        network: whose answers are scored.
        flip: average its answer with that to the mirrored view, mirrored back: of depth the mean
            of metres, as AdaBins and ZoeDepth do (they bound each first, which changes nothing
            where a network's own range lies inside the protocol's), of classes the mean of logits.
    """
    network.eval()

    @torch.inference_mode()
    def predict(views: Tensor, size: tuple[int, int]) -> Guess:
        seen = (views.shape[2], views.shape[3])
        depth, logits = network(network.normalise(views), coarse_logits=True)
        if flip:
            mirrored = network(network.normalise(views.flip(3)), coarse_logits=True)
            depth = (depth + mirrored.depth.flip(2)) / 2
        if logits is None:
            return Guess(resize_map(depth, size), None)

        def lift(part: Tensor) -> Tensor:
            return _bilinear(network.upsample_logits(part, seen).float(), size)

        if flip:
            logits = (logits + mirrored.logits.flip(3)) / 2
        # One frame at a time: sixteen of its class maps are a processor's cache full already.
        classes = [class_map(one, lift) for one in torch.split(logits, 1)]
        return Guess(resize_map(depth, size), torch.cat(classes))

    return predict


def constant_predictor(depth_m: float) -> Predictor:
    """The same depth everywhere and no classes."""

    def predict(views: Tensor, size: tuple[int, int]) -> Guess:
        return Guess(torch.full((len(views), *size), depth_m, device=views.device), None)

    return predict


def resize_map(values: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 (B, h, w) to (B, H, W), bilinearly, corners not aligned (as UniDepth does)."""
    return _bilinear(values[:, None], size)[:, 0]


def class_map(logits: Tensor, lift: Callable[[Tensor], Tensor]) -> Tensor:
    """Arg-max class of logits brought to full size, without holding all of them at that size.

    Args:
        logits: floating (B, C, h, w), C <= 255.
        lift: brings some of the channels to the size wanted, (B, c, h, w) -> (B, c, H, W), by
            interpolating between neighbours.

    Returns:
        uint8 (B, H, W); the lowest class among equals.
    """
    possible = possible_classes(logits)
    # Classes of a pixel side by side in memory: resizing and the maximum are twice as fast.
    parts = [
        part.contiguous(memory_format=torch.channels_last)
        for part in torch.split(logits[:, possible], _CLASSES_AT_ONCE, dim=1)
    ]
    best, classes = lift(parts[0]).max(dim=1)
    for number, part in enumerate(parts[1:], start=1):
        value, index = lift(part).max(dim=1)
        better = value > best
        best = torch.where(better, value, best)
        classes = torch.where(better, index + number * _CLASSES_AT_ONCE, classes)
    return possible.to(torch.uint8)[classes]


def possible_classes(logits: Tensor) -> Tensor:
    """Classes that may be the most likely one somewhere once the logits are interpolated.

    An interpolated value lies between the least and the greatest around it. A class whose greatest
    is everywhere below another's least therefore never wins, and need not be brought to full size.
    Networks trained on the sample keep 19 of 150 classes: a class map in a third of the time.

    Args:
        logits: floating (B, C, h, w).

    Returns:
        int64, the classes in ascending order, at least one.
    """
    wide = 2 * _REACH + 1
    greatest = F.max_pool2d(logits.float(), wide, 1, _REACH)
    least = -F.max_pool2d(-logits.float(), wide, 1, _REACH)
    rounding = _ROUNDING * logits.abs().amax().float()
    beaten = greatest < least.amax(dim=1, keepdim=True) - rounding
    # What is compared with a NaN is not beaten.
    possible: Tensor = (~beaten).any(dim=0).flatten(1).any(dim=1).nonzero()[:, 0]
    return possible


def _bilinear(values: Tensor, size: tuple[int, int]) -> Tensor:
    if values.shape[2:] == size:
        return values
    return F.interpolate(values, size, mode="bilinear", align_corners=False)
