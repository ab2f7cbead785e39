"""This process's place among the ranks, read from the environment.

A launcher only has to set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; without them
the process is a run of one rank. Imports nothing heavy.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from symbio.errors import SymbioError
from symbio.ranks.ending import RESUME_ME

RENDEZVOUS_VARIABLE = "SYMBIO_RENDEZVOUS_FD"
"""Environment variable: rank 0's inherited listening socket at MASTER_PORT; any text elsewhere."""

LAUNCHER_VARIABLE = "SYMBIO_LAUNCHER"
"""Environment variable: process number of the launcher that started this rank."""

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
    """Ask the kernel to kill this process when its launcher dies, so that no rank is orphaned.

    Call it first thing. A launcher that is dead already, which LAUNCHER_VARIABLE tells, ends the
    process here.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    launcher = os.environ.get(LAUNCHER_VARIABLE)
    if launcher is not None and launcher != str(os.getppid()):
        os._exit(RESUME_ME)
