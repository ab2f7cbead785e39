"""What does not divide or will not fit, each said with the parameter to change and a value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from symbio.errors import SymbioError
from symbio.params import Params, TrainParams, section_key
from symbio.plan.budget import Disk
from symbio.plan.memory import Estimate
from symbio.train.batching import accumulation

CUDA_CONTEXT = 2**29
"""Bytes that the driver takes on a GPU beside tensors, about."""

_MOST_TRIES = 4
_SIDE = 32


def limit_of(device: torch.device, ranks_here: int) -> int:
    """Bytes that one rank may take on this host."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) - CUDA_CONTEXT
    total = int(psutil.virtual_memory().total)
    allowed = Path("/sys/fs/cgroup/memory.max")
    text = allowed.read_text(encoding="ascii").strip() if allowed.is_file() else "max"
    return (min(total, int(text)) if text.isdecimal() else total) // ranks_here


def division_problem(train: TrainParams, world: int) -> str | None:
    """The batch that cannot be dealt out, and what can."""
    try:
        accumulation(train, world)
    except SymbioError as error:
        if train.batch % world == 0:
            return f"{error}. train.micro_batch: {_divisors(train.batch // world)[0]} works"
        share = train.micro_batch * world
        return f"{error}. train.batch: {max(1, round(train.batch / share)) * share} works"
    return None


def memory_problem(
    params: Params,
    dataset: str,
    estimate: Estimate,
    limit: int,
    estimate_of: Callable[[Params], Estimate],
) -> str | None:
    """The rank that will not fit, and values that were traced and do.

    Args:
        params: of the run.
        dataset: nyu, kitti or a key of `custom`.
        estimate: theirs.
        limit: bytes that a rank may take.
        estimate_of: traces other params.
    """
    stage = params.train.zero_stage
    peak = estimate.peak(stage)
    if peak.total <= limit:
        return None

    def fits(other: Params) -> bool:
        return estimate_of(other).peak(stage).total <= limit

    advice = [
        f"train.zero_stage: {other}"
        for other in range(stage + 1, 4)
        if estimate.peak(other).total <= limit
    ][:1]
    # A straight line through this estimate says where to look; the trace has the last word.
    grows = peak.activations + peak.slack
    share = (limit - peak.total + grows) / grows if grows else 0.0
    micro = _fewer_frames(params, estimate.world, share, fits)
    if micro is not None:
        advice.insert(0, f"train.micro_batch: {micro}")
    if not advice:
        size = _smaller_size(params, dataset, share, fits)
        smaller = f"{section_key(dataset)}.image_size: [{size[0]}, {size[1]}]" if size else None
        advice = [smaller or "a smaller model.encoder"]
    told = f"a rank needs {gib(peak.total)} under ZeRO-{stage}, {gib(limit)} are there"
    return f"memory: {told}; {' or '.join(advice)} would fit"


def _fewer_frames(
    params: Params, world: int, share: float, fits: Callable[[Params], bool]
) -> int | None:
    """The largest micro-batch that fits and can be dealt out."""
    train = params.train
    counts = [d for d in _divisors(max(1, train.batch // world)) if d < train.micro_batch]
    for count in [d for d in counts if d <= share * train.micro_batch][:_MOST_TRIES]:
        other = train.model_copy(update={"micro_batch": count})
        if fits(params.model_copy(update={"train": other})):
            return count
    return None


def _smaller_size(
    params: Params, dataset: str, share: float, fits: Callable[[Params], bool]
) -> tuple[int, int] | None:
    """An image size of about the same shape that fits, in multiples of 32 pixels."""
    section = params.dataset(dataset)
    scale = max(share, 0.0) ** 0.5
    for _ in range(_MOST_TRIES):
        height, width = (int(side * scale) // _SIDE * _SIDE for side in section.image_size)
        if height == 0 or width == 0:
            return None
        smaller = section.model_copy(update={"image_size": (height, width)})
        whole = params.train.augment.model_copy(update={"crop": None})
        train = params.train.model_copy(update={"augment": whole})
        if fits(params.model_copy(update={dataset: smaller, "train": train})):
            return height, width
        scale *= 0.85
    return None


def disk_problem(disk: Disk) -> str | None:
    """Checkpoints that the disk will not hold, and how many it will."""
    if disk.needed <= disk.free:
        return None
    told = f"disk: checkpoints need {gib(disk.needed)}, {gib(disk.free)} are free"
    kept = (disk.free - 2 * disk.network) // disk.checkpoint - 1
    if kept >= 1:
        return f"{told}; set train.keep_checkpoints: {kept}"
    return f"{told}; make room, even train.keep_checkpoints: 1 does not fit"


def gib(num_bytes: float) -> str:
    """Bytes as people read them."""
    mib = num_bytes / 2**20
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.2f} GiB"


def _divisors(number: int) -> list[int]:
    """Largest first."""
    return [part for part in range(number, 0, -1) if number % part == 0]
