"""What a network costs: parameters, and floating-point operations of one frame."""

from __future__ import annotations

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

_FRAMES = 2


def num_parameters(network: nn.Module) -> int:
    """Trainable numbers."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def flops_a_frame(network: nn.Module, size: tuple[int, int]) -> int:
    """Floating-point operations of the forward of one frame, as training runs it.

    Matrix products, convolutions and attention, a multiply-add counted as two; what is done to
    each number alone is left out, as everywhere. A training step costs about three times as many.
    Nothing is computed and no memory taken: shapes alone pass through the network, which may be
    on any device, the meta device included, but not partitioned over ranks.

    Args:
        network: from `build_network`.
        size: (H, W) in pixels.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        tensors = dict(network.named_parameters()) | dict(network.named_buffers())
        shapes = {
            name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in tensors.items()
        }
        # Two, for a batch norm in training mode refuses one frame whose map is a single number.
        image = torch.empty(_FRAMES, 3, *size)
        # Torch counts no fused attention of the CPU; written out, it is two matrix products.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            functional_call(network, shapes, (image, True))
    return int(counter.get_total_flops()) // _FRAMES
