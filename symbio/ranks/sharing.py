"""What ranks tell each other where there may be only one, and no process group at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from symbio.errors import SymbioError
from symbio.ranks.place import Place, place_from

T = TypeVar("T")

ALONE = place_from({})
"""The place of the only rank."""


def gathered(value: T) -> list[T]:
    """The values of all ranks, in rank order, on every rank."""
    if not _several():
        return [value]
    values: list[T] = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def summed_over_ranks(values: Tensor, device: torch.device | str) -> Tensor:
    """The sum of a CPU tensor over the ranks, taken on a device that the group can use."""
    if not _several():
        return values
    total = values.to(device, copy=True)
    dist.all_reduce(total)
    return total.cpu()


def agreed(work: Callable[[], T]) -> T:
    """Do this rank's part of the work; a SymbioError of one rank is raised on all of them."""
    result: list[T] = []
    problem: str | None = None
    try:
        result.append(work())
    except SymbioError as error:
        problem = str(error)
    problems = [told for told in gathered(problem) if told is not None]
    if problems:
        raise SymbioError(problems[0])
    return result[0]


def share_of_host(place: Place) -> tuple[int, int]:
    """Which files this rank verifies, so that the ranks of a host look at each once.

    Each host may have a disk of its own. Under a launcher that does not say how many ranks share
    it, every rank takes all.

    Returns:
        (index, count): of `count` ranks this one takes every `count`-th from `index` on.
    """
    ranks_here = os.environ.get("LOCAL_WORLD_SIZE")
    return (0, 1) if ranks_here is None else (place.local_rank, int(ranks_here))


def _several() -> bool:
    return dist.is_initialized() and dist.get_world_size() > 1
