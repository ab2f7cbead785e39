"""A few real micro-batches on this device, to learn their time."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import nullcontext

import torch

from symbio.params import Params
from symbio.plan.trace import training_size
from symbio.ranks.settings import num_cpus
from symbio.train.choices import chosen_network
from symbio.train.engine import build_optimizer
from symbio.train.objective import Objective

_TIMED = 3


def micro_batch_s(params: Params, dataset: str, device: torch.device, ranks: int) -> float:
    """Median seconds of forward, backward and update over one micro-batch of made-up frames.

    Without DeepSpeed, data and communication. On a CPU it takes the cores of one of `ranks`.

    Raises:
        SymbioError: the network cannot be built.
    """
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, num_cpus() // ranks))
    network = chosen_network(
        params.model_copy(update={"model": params.model.model_copy(update={"pretrained": False})}),
        dataset,
    )
    low, high = params.dataset(dataset).depth_range
    weights = torch.ones(network.num_classes)
    objective = Objective(network, params.train, (low, high), weights).to(device).train()
    optimizer = build_optimizer(objective, params.train)
    height, width = training_size(params, dataset)
    frames = (params.train.micro_batch, height, width)
    image = torch.randint(256, (frames[0], 3, height, width), dtype=torch.uint8, device=device)
    depth = torch.full(frames, (low * high) ** 0.5, device=device)
    semantic = torch.randint(network.num_classes, frames, dtype=torch.uint8, device=device)
    confidence = torch.full(frames, 255, dtype=torch.uint8, device=device)
    bf16 = params.train.precision == "bf16"
    times = []
    for _ in range(1 + _TIMED):
        start = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
            loss = objective(image, depth, semantic, confidence).total
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        # Waits for the device: what was only queued has taken no time yet.
        loss.item()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
