"""This process's place among the ranks, and the few things that ranks tell each other.

A launcher only has to set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; without them
the process is a run of one rank.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import distributed_c10d as c10d

from symbio.errors import SymbioError
from symbio.train.status import RENDEZVOUS_VARIABLE

TIMEOUT = datetime.timedelta(seconds=300)
"""Longest wait for another rank in one collective; then the run fails instead of hanging."""

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many ranks this process is."""

    rank: int
    world: int
    local_rank: int

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes journal, status and exported model."""
        return self.rank == 0


def place_from(environment: Mapping[str, str]) -> Place:
    """Read the launcher's variables; none of RANK and WORLD_SIZE means one rank.

    Raises:
        SymbioError: some are set and others missing or malformed.
    """
    if "RANK" not in environment and "WORLD_SIZE" not in environment:
        return Place(0, 1, 0)
    missing = [name for name in _VARIABLES if name not in environment]
    if missing:
        raise SymbioError(
            f"the launcher set some of {', '.join(_VARIABLES)} but not {', '.join(missing)}"
        )
    try:
        rank, world, local = (int(environment[name]) for name in _VARIABLES[:3])
    except ValueError as error:
        raise SymbioError(f"RANK, WORLD_SIZE and LOCAL_RANK must be integers: {error}") from error
    if not 0 <= rank < world:
        raise SymbioError(f"RANK={rank} does not fit WORLD_SIZE={world}")
    return Place(rank, world, local)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its launcher dies, so that no rank is orphaned."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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
    return device


def join(place: Place, device: torch.device) -> None:
    """Open the process group that DeepSpeed then takes over.

    `symbio train` hands rank 0 the listening socket of the rendezvous (RENDEZVOUS_VARIABLE), so
    no two runs can race for a port; any other launcher's MASTER_PORT is used as it stands.
    """
    backend = "nccl" if device.type == "cuda" else "gloo"
    if "RANK" not in os.environ:
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
            timeout=TIMEOUT,
            master_listen_fd=int(descriptor) if place.first else None,
            wait_for_workers=False,
        )
    dist.init_process_group(
        backend, store=store, rank=place.rank, world_size=place.world, timeout=TIMEOUT
    )


def _alone(backend: str) -> None:
    # DeepSpeed insists on the variables; the store needs no port that anybody could find busy.
    os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "0")
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=0, world_size=1, timeout=TIMEOUT)


def limit_waiting() -> None:
    """Put our timeout on every process group: DeepSpeed opens its own with half an hour."""
    for group in list(c10d._world.pg_map):
        c10d._set_pg_timeout(TIMEOUT, group)


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
