"""Chunks dealt to whichever rank asks next, so that fast and slow hosts end together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch.distributed as dist
from torch.distributed import distributed_c10d as c10d

_POLL_S = 0.2


class Deal:
    """A pile of chunks that all ranks take from, and the count of what they have done.

    The counters live in the store of the process group, which rank 0 keeps: it leaves last.
    """

    def __init__(self, todo: Sequence[int], world: int) -> None:
        """Args: todo: numbers of chunks, the same on all ranks. world: how many ranks take."""
        self._todo, self._world = todo, world
        # A rank alone needs no process group.
        self._store = c10d._get_default_store() if dist.is_initialized() else dist.HashStore()  # type: ignore[attr-defined]

    def next(self) -> int | None:
        """A chunk that no other rank has or gets; None when there are no more."""
        place = self._store.add("symbio/label/dealt", 1) - 1
        return self._todo[place] if place < len(self._todo) else None

    def tell(self, frames: int) -> int:
        """Add `frames` to those that all ranks have labelled; returns the sum."""
        return int(self._store.add("symbio/label/frames", frames))

    def leave(self, first: bool, meanwhile: Callable[[], None]) -> None:
        """Say that this rank is done; rank 0 stays until all have said so.

        Args:
            first: whether this is rank 0.
            meanwhile: called a few times a second while rank 0 waits.
        """
        left = self._store.add("symbio/label/left", 1)
        while first and left < self._world:
            meanwhile()
            time.sleep(_POLL_S)
            left = self._store.add("symbio/label/left", 0)
