"""What memory a rank may take, and whether it was the lack of it that ended one.

On a CPU the cap is the kernel's (RLIMIT_DATA, setrlimit(2)). It counts what was asked for, also
what was never touched (stacks of threads), so it is reached somewhat before the resident memory
is as high. On a GPU the cap is a share of the GPU's memory, kept by torch's allocator. Imports
nothing heavy.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.ranks.settings import RANK_MEMORY_VARIABLE, rank_memory

if TYPE_CHECKING:
    import torch

_DATA = resource.RLIMIT_DATA
_NEAR_BYTES = 2**26
"""This close to the cap it is memory that fails, whatever is said: a library that gets none may
say `Resource temporarily unavailable`, or raise an ImportError."""
_WORDS = (
    "out of memory",  # CUDA, NCCL
    "alloc_failed",  # cuBLAS, cuDNN
    "allocate memory",  # torch on the CPU; the kernel (ENOMEM)
    "bad_alloc",  # C++
)


def cap_memory() -> None:
    """Give this process, a rank on a CPU, no more memory than SYMBIO_RANK_MEMORY says.

    Raises:
        SymbioError: the variable is malformed, or the libraries alone take as much.
    """
    cap_bytes, taken = rank_memory(), _of_process("self", "VmData")
    if cap_bytes is None or taken is None:
        return
    if cap_bytes < taken + _NEAR_BYTES:
        raise SymbioError(
            f"{RANK_MEMORY_VARIABLE}: {mebibytes(cap_bytes)} are not enough for a rank, its "
            f"libraries alone take {mebibytes(taken)}; give more"
        )
    resource.setrlimit(_DATA, (cap_bytes, resource.getrlimit(_DATA)[1]))


def cap_gpu_memory(device: torch.device) -> None:
    """Give this process no more of its GPU than SYMBIO_RANK_MEMORY says.

    Raises:
        SymbioError: the variable is malformed.
    """
    import torch

    cap_bytes = rank_memory()
    if cap_bytes is not None:
        there = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap_bytes / there), device)


def lift_cap() -> None:
    """Let a rank that failed have the memory to say so."""
    resource.setrlimit(_DATA, (resource.getrlimit(_DATA)[1],) * 2)


def near_cap() -> bool:
    """Whether this process has nearly all the memory that `cap_memory` gave it."""
    cap_bytes, taken = resource.getrlimit(_DATA)[0], _of_process("self", "VmData")
    capped = cap_bytes != resource.RLIM_INFINITY
    return capped and taken is not None and taken > cap_bytes - _NEAR_BYTES


def tells_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that there was no memory."""
    cause = error.__cause__ or error.__context__
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or any(word in text for word in _WORDS)
        or (cause is not None and tells_of_memory(cause))
    )


def resident_peak(process: int | str = "self") -> int | None:
    """The most memory that a process has had in RAM, in bytes; None where /proc cannot tell."""
    return _of_process(process, "VmHWM")


def mebibytes(num_bytes: int) -> str:
    """For people."""
    return f"{num_bytes / 2**20:.0f} MiB"


def _of_process(process: int | str, name: str) -> int | None:
    """A number of /proc/PID/status (proc(5)), in bytes."""
    if sys.platform != "linux":
        return None
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = status.partition(f"{name}:")[2].split()
    # A process that has ended but was not waited for has no memory any more, and no such line.
    return 1024 * int(found[0]) if found else None
