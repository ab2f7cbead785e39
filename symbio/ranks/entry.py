"""What every rank does around its work: signals, last words, exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable

import torch.distributed as dist

from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks import slurm
from symbio.ranks.ending import ERRORS_VARIABLE, FAILED, MISTAKE, words_in, write_error
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
        return work(place, stop)
    except SymbioError as error:
        _leave_word(place, "SymbioError", str(error))
        return MISTAKE
    except Exception as error:
        if _another_failed(place):
            say(f"rank {place.rank} ends: another rank failed")
        else:
            traceback.print_exc()
            _leave_word(place, type(error).__name__, str(error))
        return FAILED
    finally:
        sys.stderr.flush()
        if dist.is_initialized() and dist.get_world_size() == 1:
            dist.destroy_process_group()


def _leave_word(place: Place, kind: str, message: str) -> None:
    say(f"rank {place.rank}: {message}" if place.world > 1 else message)
    with contextlib.suppress(SymbioError, OSError):
        write_error(place.rank, kind, message)


def _another_failed(place: Place) -> bool:
    with contextlib.suppress(SymbioError, OSError):
        words = words_in(os.environ.get(ERRORS_VARIABLE))
        return bool(words) and words[0].rank != place.rank
    return False
