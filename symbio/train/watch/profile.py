"""`--profile`: a trace of a few steps, as torch's profiler sees them."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from symbio.errors import SymbioError
from symbio.files import whole_file
from symbio.progress import say
from symbio.ranks.place import Place
from symbio.ranks.settings import PROFILE_VARIABLE
from symbio.train.watch.clock import StepClock

WARM_UP = 2
"""Steps before those that are traced: the first ones allocate, compile and fill caches."""
FOLDER = "profile"


def steps_to_trace(environment: Mapping[str, str]) -> int:
    """How many steps SYMBIO_PROFILE asks to be traced; 0 where it is not set.

    Raises:
        SymbioError: it is no whole number above 0.
    """
    text = environment.get(PROFILE_VARIABLE)
    if text is None:
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise SymbioError(f"{PROFILE_VARIABLE}={text!r}: give a number of steps, 1 or more")
    return int(text)


class StepTrace:
    """Traces steps of one rank into {run}/profile/rank-{rank}.json.gz; costs time while it does."""

    def __init__(self, run: Path, place: Place, steps: int, clock: StepClock) -> None:
        """Begin; after WARM_UP steps, `steps` are traced."""
        self.path = run / FOLDER / f"rank-{place.rank}.json.gz"
        self._place, self._clock = place, clock
        self._last = WARM_UP + steps
        self._done = 0
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        plan = schedule(wait=0, warmup=WARM_UP, active=steps, repeat=1)
        self._profiler: Any = profile(
            activities=activities, schedule=plan, on_trace_ready=self._write, acc_events=True
        )
        self._profiler.start()
        clock.tracing = True

    def step(self) -> None:
        """A step is over; after the last of them the trace is written."""
        if self._profiler is None:
            return
        self._done += 1
        if self._done == self._last:
            self.close()
        else:
            self._profiler.step()

    def close(self) -> None:
        """Write what was traced, if any step was."""
        if self._profiler is None:
            return
        self._clock.tracing = False
        profiler, self._profiler = self._profiler, None
        if self._done < WARM_UP:
            say(f"no trace: the run ended within its first {WARM_UP} steps")
        profiler.stop()

    def _write(self, profiler: Any) -> None:
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                whole_file(self.path) as aside,
            ):
                plain = Path(folder) / "trace.json"
                profiler.export_chrome_trace(str(plain))
                with plain.open("rb") as source, gzip.open(aside, "wb", compresslevel=6) as target:
                    shutil.copyfileobj(source, target)
        except (OSError, SymbioError) as error:
            say(f"the trace of rank {self._place.rank} is not written, training goes on: {error}")
            return
        if self._place.first:
            say(
                f"{self.path}: trace of {self._done - WARM_UP} steps, one file a rank; open it in "
                "https://ui.perfetto.dev (it stays on your machine) or chrome://tracing"
            )
