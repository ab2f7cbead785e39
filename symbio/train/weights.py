"""The trained weights as a plain network: live or averaged (EMA), whatever the ZeRO stage.

Under ZeRO-3 a rank holds a slice of each parameter (`ds_tensor`); average and copy work on what
the rank holds, and only reading a whole parameter gathers it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from symbio.train.engine import import_deepspeed

_WARM_UP = 10.0


def held(parameter: nn.Parameter) -> Tensor:
    """What this rank holds of a parameter: all of it, or its slice under ZeRO-3."""
    sliced: Tensor | None = getattr(parameter, "ds_tensor", None)
    return parameter.data if sliced is None else sliced.data


def saved_buffers(module: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the weights: running statistics of norm layers, and counters."""
    saved = module.state_dict(keep_vars=True).keys()
    return {name: buffer for name, buffer in module.named_buffers() if name in saved}


def float_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Running statistics of norm layers."""
    found = saved_buffers(module)
    return {name: buffer for name, buffer in found.items() if buffer.is_floating_point()}


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy parameters and buffers of `source` (perhaps partitioned) into plain `target`.

    Collective under ZeRO-3: all ranks call it.
    """
    for (name, parameter), (other, plain) in zip(
        source.named_parameters(), target.named_parameters(), strict=True
    ):
        assert name == other
        with _whole(parameter):
            plain.copy_(parameter.data)
    for buffer, plain_buffer in zip(source.buffers(), target.buffers(), strict=True):
        plain_buffer.copy_(buffer)


class Average:
    """Exponential moving average of weights and running statistics."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._module = module
        self._values = {name: tensor.clone() for name, tensor in self._live()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the module's weights into the average; early on it follows them more closely."""
        decay = min(self.decay, (1.0 + self.updates) / (_WARM_UP + self.updates))
        self.updates += 1
        for name, tensor in self._live():
            self._values[name].lerp_(tensor, 1.0 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange average and live weights; call it twice to be where one was, bit for bit."""
        for name, tensor in self._live():
            live = tensor.clone()
            tensor.copy_(self._values[name])
            self._values[name].copy_(live)

    def state(self, wanted: bool) -> dict[str, Tensor] | None:
        """The averaged weights, whole, by name, on the CPU, if `wanted`. Collective."""
        self.swap()
        try:
            whole = {name: tensor.clone() for name, tensor in _whole_state(self._module) if wanted}
        finally:
            self.swap()
        return whole if wanted else None

    @torch.no_grad()
    def load(self, state: dict[str, Tensor], updates: int, rank: int) -> None:
        """Continue from `state()` of an earlier run, on any number of ranks."""
        self.updates = updates
        live = dict(self._live())
        for name, value in self._values.items():
            whole = state[name]
            if whole.shape == live[name].shape:
                value.copy_(whole)
            else:
                flat, size = whole.flatten(), value.numel()
                part = flat[rank * size : (rank + 1) * size]
                value.flatten()[: len(part)].copy_(part)

    def _live(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self._module.named_parameters():
            yield name, held(parameter)
        yield from float_buffers(self._module).items()


def _whole_state(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in module.named_parameters():
        with _whole(parameter):
            yield name, parameter.detach().cpu()
    for name, buffer in float_buffers(module).items():
        yield name, buffer.cpu()


class _whole:
    """Gather a parameter for the length of the block where ZeRO-3 has partitioned it."""

    def __init__(self, parameter: nn.Parameter) -> None:
        self._gathered = None
        if hasattr(parameter, "ds_tensor"):
            zero = import_deepspeed().zero
            self._gathered = zero.GatheredParameters([parameter], modifier_rank=None)

    def __enter__(self) -> None:
        if self._gathered is not None:
            self._gathered.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._gathered is not None:
            self._gathered.__exit__(*error)
