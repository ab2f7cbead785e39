"""What a rank holds while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symbio.data.loader import GlobalBatches
from symbio.model.network import SymbioticNetwork
from symbio.params import Params
from symbio.ranks.place import Place
from symbio.ranks.pulse import Pulse
from symbio.ranks.stop import StopRequest
from symbio.train.checkpoints.checkpoint import State
from symbio.train.checkpoints.writer import Outcome, Writer
from symbio.train.records.frames import FramesLog
from symbio.train.records.journal import Journal
from symbio.train.step import Stepper
from symbio.train.validate import Validation
from symbio.train.watch.clock import StepClock
from symbio.train.watch.meter import Meter
from symbio.train.watch.profile import StepTrace
from symbio.train.weights import Average


@dataclass
class Session:
    """One rank's share of a run."""

    params: Params
    dataset: str
    run: Path
    place: Place
    device: torch.device
    batches: GlobalBatches
    validation: Validation | None
    engine: Any
    pulse: Pulse
    clock: StepClock
    meter: Meter
    trace: StepTrace | None
    """Where SYMBIO_PROFILE asks for one."""
    stepper: Stepper
    plain: SymbioticNetwork
    """A network outside the engine, to be scored and exported."""
    average: Average | None
    stop: StopRequest
    state: State
    writer: Writer
    journal: Journal | None
    """On rank 0."""
    frames: FramesLog | None
    """On rank 0."""
    card: dict[str, Any]
    """What the exported network's card says besides the training itself."""
    checkpointed: int = -1
    """Step of the newest checkpoint that stands."""
    last_checkpoint: Outcome | None = None
    """The last one that this process wrote."""
