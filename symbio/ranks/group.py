"""The process group, and the few things that ranks tell each other."""

from __future__ import annotations

import datetime
import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import distributed_c10d as c10d

from symbio.errors import SymbioError
from symbio.ranks.memory import cap_gpu_memory
from symbio.ranks.place import RENDEZVOUS_VARIABLE, Place
from symbio.ranks.settings import step_timeout_s

_AFTER_WATCHDOG_S = 10.0


def longest_wait() -> datetime.timedelta:
    """Longest wait for another rank in one collective; then the run fails instead of hanging.

    The watchdog (`symbio.ranks.pulse`), which can say who is missing, comes first.

    Raises:
        SymbioError: SYMBIO_STEP_TIMEOUT is no number of seconds.
    """
    return datetime.timedelta(seconds=step_timeout_s() + _AFTER_WATCHDOG_S)


def device_of(place: Place) -> torch.device:
    """The rank's GPU, or the CPU where the host has none.

    Raises:
        SymbioError: the host has GPUs, but fewer than ranks.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if place.local_rank >= count:
        raise SymbioError(
            f"rank {place.rank} needs GPU {place.local_rank}, this host has {count}; "
            f"start {count} ranks on it (SYMBIO_RANKS), or hide the GPUs with "
            "CUDA_VISIBLE_DEVICES="
        )
    device = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(device)
    cap_gpu_memory(device)
    return device


def join(place: Place, device: torch.device) -> None:
    """Open the process group that DeepSpeed then takes over.

    `symbio train` hands rank 0 the listening socket of the rendezvous (RENDEZVOUS_VARIABLE), so
    no two runs can race for a port; any other launcher's MASTER_PORT is used as it stands.
    """
    backend = "nccl" if device.type == "cuda" else "gloo"
    if place.world == 1:
        _alone(backend)
        return
    store = None
    descriptor = os.environ.pop(RENDEZVOUS_VARIABLE, None)
    if descriptor is not None:
        store = dist.TCPStore(  # type: ignore[attr-defined]
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            place.world,
            is_master=place.first,
            timeout=longest_wait(),
            master_listen_fd=int(descriptor) if place.first else None,
            wait_for_workers=False,
        )
    dist.init_process_group(
        backend, store=store, rank=place.rank, world_size=place.world, timeout=longest_wait()
    )


def _alone(backend: str) -> None:
    # DeepSpeed insists on the variables; the store needs no port that anybody could find busy.
    os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "0")
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=0, world_size=1, timeout=longest_wait())


def limit_waiting() -> None:
    """Put our timeout on every process group: DeepSpeed opens its own with half an hour."""
    for group in list(c10d._world.pg_map):
        c10d._set_pg_timeout(longest_wait(), group)


def total(values: Tensor) -> Tensor:
    """Sum a tensor over the ranks, in place."""
    if dist.get_world_size() > 1:
        dist.all_reduce(values)
    return values


def any_rank(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any rank; every rank gets the same answer."""
    return bool(total(torch.tensor(float(flag), device=device)).item())


def gather(value: Any) -> list[Any]:
    """The values of all ranks, in rank order, on every rank."""
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def from_first(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def wait_for_all() -> None:
    """Return when every rank is here."""
    total(torch.zeros(1, device=torch.device("cuda") if torch.cuda.is_available() else "cpu"))
