"""What every rank does around its work: signals, the cap on memory, last words, exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable

import torch
import torch.distributed as dist

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks import slurm
from symbio.ranks.ending import (
    ERRORS_VARIABLE,
    FAILED,
    MISTAKE,
    OUT_OF_MEMORY,
    is_loss,
    words_in,
    write_error,
)
from symbio.ranks.memory import (
    cap_memory,
    lift_cap,
    mebibytes,
    near_cap,
    resident_peak,
    tells_of_memory,
)
from symbio.ranks.place import Place, place_from
from symbio.ranks.stop import StopRequest


def be_a_rank(work: Callable[[Place, StopRequest], int]) -> int:
    """Be the rank that the environment says; returns the exit code. Never raises.

    Args:
        work: does the work of this rank and returns its exit code; it opens the process group.
    """
    stop = StopRequest()
    stop.install()
    place = Place(0, 1, 0)
    try:
        os.environ.update(slurm.rank_from(os.environ))
        place = place_from(os.environ)
        if not torch.cuda.is_available():
            cap_memory()
        return work(place, stop)
    except SymbioError as error:
        _leave_word(place, "SymbioError", str(error))
        return MISTAKE
    except Exception as error:
        short = _was_short_of_memory(error)
        lift_cap()
        if _another_failed(place):
            say(f"rank {place.rank} ends: another rank failed")
        elif short:
            traceback.print_exc()
            _tell_of_memory(place, error)
        else:
            traceback.print_exc()
            _leave_word(place, type(error).__name__, str(error))
        return FAILED
    finally:
        sys.stderr.flush()
        if dist.is_initialized() and dist.get_world_size() == 1:
            dist.destroy_process_group()


def _was_short_of_memory(error: Exception) -> bool:
    """Whether memory is why this rank fails; another's end also comes near the cap."""
    return tells_of_memory(error) or (near_cap() and not is_loss(type(error).__name__, str(error)))


def _tell_of_memory(place: Place, error: Exception) -> None:
    gpu = torch.cuda.is_available()
    peak_bytes = torch.cuda.max_memory_allocated() if gpu else resident_peak()
    had = "" if peak_bytes is None else f" when it had {mebibytes(peak_bytes)}"
    cause = (str(error) or type(error).__name__).splitlines()[0]
    _leave_word(place, OUT_OF_MEMORY, f"out of memory{had} ({cause})", peak_bytes)


def _leave_word(place: Place, kind: str, message: str, peak_bytes: int | None = None) -> None:
    say(f"rank {place.rank}: {message}" if place.world > 1 else message)
    with contextlib.suppress(SymbioError, OSError):
        write_error(place.rank, kind, message, peak_bytes)


def _another_failed(place: Place) -> bool:
    with contextlib.suppress(SymbioError, OSError):
        words = words_in(os.environ.get(ERRORS_VARIABLE))
        return bool(words) and words[0].rank != place.rank
    return False
