"""Where the time of a step goes: data, forward, backward, optimiser, communication.

A step is cut at the moments where one part ends and the next begins, so the parts sum to the step.
On the CPU a cut is a look at the clock. On a GPU it is an event in the stream that computes, read
when the next steps are over: nothing waits for it.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch

DATA, FORWARD, BACKWARD = "data", "forward", "backward"
OPTIMIZER, COMMUNICATION = "optimizer", "communication"
PARTS = (DATA, FORWARD, BACKWARD, OPTIMIZER, COMMUNICATION)

_RECENT = 10
_MOST_STEPS = 2000
_COLLECTIVES = (
    "all_gather",
    "all_gather_coalesced",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_reduce_coalesced",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "gather",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
)
"""Methods of DeepSpeed's communication backend."""

_Mark = Any  # seconds (float) on the CPU, torch.cuda.Event on a GPU
_Cut = tuple[str | None, _Mark]  # the part that begins; None: nothing of the step


class StepClock:
    """Cuts the steps of this rank into parts.

    `communication` is the time inside collectives, whoever called them: the other parts are
    without it. It holds the waiting for slower ranks. Of an asynchronous collective only the wait
    for its end counts, so what overlaps with computing does not; on a GPU that is how long the
    computing stream is held up. Exchanges that DeepSpeed makes past its own backend (coalesced
    ones, at ZeRO-3) count where they happen.
    """

    def __init__(self, device: torch.device, beat: Callable[[str], None]) -> None:
        """Args: device: of the network. beat: told when a part begins."""
        self._beat = beat
        self._part: str | None = None
        self._cuts: list[_Cut] = []
        self._open: deque[list[_Cut]] = deque()
        self._splits: deque[dict[str, float]] = deque(maxlen=_RECENT)
        self._totals: deque[float] = deque(maxlen=_MOST_STEPS)
        self._span: Any = None
        self.steps = 0
        """Steps that were timed."""
        self.tracing = False
        """Whether the parts are named in a trace of torch's profiler."""
        self._stream = torch.cuda.current_stream(device) if device.type == "cuda" else None

    def start(self) -> None:
        """A step begins, with its data."""
        self.enter(DATA)

    def enter(self, part: str) -> None:
        """Another part of the step begins."""
        self._beat(part)
        self._cut(part)
        self._name_span(part)

    def leave(self) -> None:
        """What comes now is not the step's, until `enter` or `stop`."""
        self._cut(None)
        self._name_span(None)

    def stop(self) -> None:
        """The step is over."""
        self.leave()
        self.steps += 1
        self._open.append(self._cuts)
        self._cuts = []
        while self._open and self._passed(self._open[0][-1][1]):
            split = self._split(self._open.popleft())
            self._splits.append(split)
            self._totals.append(sum(split.values()))

    @contextlib.contextmanager
    def communication(self) -> Iterator[None]:
        """Count this block as communication, wherever in a step it is."""
        part = self._part
        if part is None or part == COMMUNICATION:
            yield
            return
        self._cut(COMMUNICATION)
        try:
            with _span(COMMUNICATION) if self.tracing else contextlib.nullcontext():
                yield
        finally:
            self._cut(part)

    def listen_to(self, backend: Any) -> None:
        """Count the collectives of DeepSpeed's communication backend (deepspeed.comm.comm.cdb)."""
        for name in _COLLECTIVES:
            if hasattr(backend, name):
                setattr(backend, name, self._timed(getattr(backend, name)))

    def recent(self) -> dict[str, float]:
        """Mean seconds of the parts and of the whole `step` over ten steps; {} before the first."""
        if not self._splits:
            return {}
        means = {
            part: sum(split[part] for split in self._splits) / len(self._splits) for part in PARTS
        }
        return {"step": sum(means.values()), **means}

    def median_step_s(self) -> float:
        """Median time of the last steps (at most 2000), in seconds; at least one was timed."""
        return statistics.median(self._totals)

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*args: Any, **options: Any) -> Any:
            with self.communication():
                work = call(*args, **options)
            return _Work(work, self) if hasattr(work, "wait") else work

        return inside

    def _cut(self, part: str | None) -> None:
        self._part = part
        self._cuts.append((part, self._mark()))

    def _mark(self) -> _Mark:
        if self._stream is None:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(self._stream)
        return event

    def _passed(self, mark: _Mark) -> bool:
        return self._stream is None or bool(mark.query())

    def _split(self, cuts: list[_Cut]) -> dict[str, float]:
        seconds = dict.fromkeys(PARTS, 0.0)
        for (part, begin), (_, end) in itertools.pairwise(cuts):
            if part is not None:
                seconds[part] += self._between(begin, end)
        return seconds

    def _between(self, begin: _Mark, end: _Mark) -> float:
        return float(end - begin if self._stream is None else begin.elapsed_time(end) / 1000)

    def _name_span(self, part: str | None) -> None:
        if self._span is not None:
            self._span.__exit__(None, None, None)
            self._span = None
        if part is not None and self.tracing:
            self._span = _span(part)
            self._span.__enter__()


class _Work:
    """The handle of an asynchronous collective, whose wait is communication."""

    def __init__(self, work: Any, clock: StepClock) -> None:
        self._work = work
        self._clock = clock

    def wait(self, *args: Any, **options: Any) -> Any:
        with self._clock.communication():
            return self._work.wait(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


def _span(part: str) -> Any:
    return torch.profiler.record_function(f"symbio.{part}")
