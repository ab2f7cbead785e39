"""Put a frame together from two: what every mix ends with."""

from __future__ import annotations

import torch
from torch import Tensor

from symbio.data.frame import Batch


def compose(a: Batch, b: Batch, from_b: Tensor) -> Batch:
    """Take each pixel whole from one frame: image, depth, class and confidence together.

    A pixel without a measurement stays without one, so that no mix invents supervision.

    Args:
        a: B frames.
        b: B frames of the same size, on the same device.
        from_b: bool (B, H, W); True takes the pixel from `b`.

    Returns:
        B frames with keys "a+b"; `a` and `b` are left as they are.
    """
    return Batch(
        choose(from_b[:, None], b.image, a.image),
        choose(from_b, b.depth, a.depth),
        choose(from_b, b.semantic, a.semantic),
        choose(from_b, b.confidence, a.confidence),
        tuple(f"{key_a}+{key_b}" for key_a, key_b in zip(a.keys, b.keys, strict=True)),
    )


def choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` where `mask`, else `no`, of one dtype (float32 or an integer); `mask` broadcasts.

    torch.where on the bits, which is some 20 times faster on a CPU for uint8.
    """
    if yes.dtype == torch.float32:
        return choose(mask, yes.view(torch.int32), no.view(torch.int32)).view(torch.float32)
    bits = mask.to(yes.dtype).neg_()  # all ones where True
    return no ^ ((yes ^ no) & bits)
