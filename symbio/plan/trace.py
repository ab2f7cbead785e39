"""One micro-batch of training without numbers: which memory is taken and given back, in order.

The network, the loss and their backward are the training's own; torch's fake tensors carry shapes
through them and compute nothing. Every storage is followed from its making to its release, so
activations are counted for as long as autograd holds them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from symbio.model.cost import flops_a_frame, num_parameters
from symbio.model.network import SymbioticNetwork
from symbio.params import Params
from symbio.train.choices import network_of
from symbio.train.objective import Objective

GPU_BLOCK = 512
"""Bytes; torch's allocator on GPUs rounds up to multiples of it."""
_HOST_BLOCK = 64


@dataclass(frozen=True, slots=True)
class StepTrace:
    """Forward and backward of one micro-batch on one rank."""

    changes: list[tuple[int, int]]
    """Storages in order: (number, bytes) when made, (number, -bytes) when released."""
    gradients: frozenset[int]
    """Numbers of the storages that end as gradients of weights."""
    num_parameters: int
    flops_a_frame: int
    """Of the forward."""
    buffer_bytes: int
    """Running statistics and other buffers of the network."""
    input_bytes: int
    """Images, depth, class and confidence of the micro-batch."""


def training_size(params: Params, dataset: str) -> tuple[int, int]:
    """(H, W) in pixels of a training frame: the crop, if there is one."""
    return params.train.augment.crop or params.dataset(dataset).image_size


def shapes_of_network(params: Params, dataset: str) -> SymbioticNetwork:
    """The network of these params on the meta device, without weights.

    Raises:
        SymbioError: see `build_network`.
    """
    without_weights = params.model.model_copy(update={"pretrained": False})
    with torch.device("meta"):
        return network_of(params.model_copy(update={"model": without_weights}), dataset)


def trace_step(params: Params, dataset: str, device: torch.device) -> StepTrace:
    """Follow the memory of one micro-batch as a rank on a device of this kind runs it.

    Raises:
        SymbioError: the network cannot be built.
    """
    network = shapes_of_network(params, dataset)
    size, frames = training_size(params, dataset), params.train.micro_batch
    flops, count = flops_a_frame(network, size), num_parameters(network)
    _fill_tables(network, size)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network.to_empty(device=device)
        section = params.dataset(dataset)
        weights = torch.ones(network.num_classes, device=device)
        objective = Objective(network, params.train, section.depth_range, weights).train()
        inputs = _inputs(frames, size, device)
        recorder = _Recorder(GPU_BLOCK if device.type == "cuda" else _HOST_BLOCK)
        recorder.leave_out([*objective.parameters(), *objective.buffers(), *inputs])
        bf16 = params.train.precision == "bf16"
        with recorder:
            with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
                loss = objective(*inputs).total
            loss.backward()
        gradients = [weight.grad for weight in objective.parameters() if weight.grad is not None]
        return StepTrace(
            changes=list(recorder.changes),
            gradients=frozenset(map(recorder.number_of, gradients)),
            num_parameters=count,
            flops_a_frame=flops,
            buffer_bytes=sum(buffer.nbytes for buffer in network.buffers()),
            input_bytes=sum(tensor.nbytes for tensor in inputs),
        )


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes storages that operations make, and when they are released."""

    def __init__(self, block: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.changes: list[tuple[int, int]] = []
        self._block = block
        self._numbers: dict[int, int] = {}
        self._left_out: set[int] = set()

    def leave_out(self, tensors: Iterable[Tensor]) -> None:
        """Not to be counted: storages of these tensors, which the caller keeps."""
        self._left_out |= {id(tensor.untyped_storage()) for tensor in tensors}

    def number_of(self, tensor: Tensor) -> int:
        """The number of a tensor's storage."""
        return self._numbers[id(tensor.untyped_storage())]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return made

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        # Torch keeps one Python object a storage as long as the storage lives.
        key = id(storage)
        if key in self._numbers or key in self._left_out:
            return
        number, size = len(self.changes), -(-storage.nbytes() // self._block) * self._block
        self._numbers[key] = number
        self.changes.append((number, size))
        weakref.finalize(storage, self._released, key, size).atexit = False

    def _released(self, key: int, size: int) -> None:
        self.changes.append((self._numbers.pop(key), -size))


def _fill_tables(network: SymbioticNetwork, size: tuple[int, int]) -> None:
    """Let the loss make its tables of real numbers, which are kept between steps."""
    coarse = torch.zeros(1, 1, *(-(-side // 4) for side in network.working_size(size)))
    labels = torch.zeros(1, *size, dtype=torch.uint8)
    network.cross_entropy_sum(coarse, labels, torch.zeros(1, *size))


def _inputs(frames: int, size: tuple[int, int], device: torch.device) -> tuple[Tensor, ...]:
    """What `Objective.forward` takes."""
    return (
        torch.empty(frames, 3, *size, dtype=torch.uint8, device=device),
        torch.empty(frames, *size, device=device),
        torch.empty(frames, *size, dtype=torch.uint8, device=device),
        torch.empty(frames, *size, dtype=torch.uint8, device=device),
    )
