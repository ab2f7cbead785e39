"""One rank of `benchmarks/training.py`: symbio's training step and a bare one, in turns.

Both see the same network, the same batches and the same optimiser; their steps alternate within one
process, so that whatever else the machine does falls on both alike.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from symbio.data.frame import Batch
from symbio.params import load_params
from symbio.ranks import group
from symbio.ranks.entry import be_a_rank
from symbio.ranks.place import Place
from symbio.ranks.pulse import Pulse
from symbio.ranks.stop import StopRequest
from symbio.train.choices import chosen_network
from symbio.train.engine import build_optimizer
from symbio.train.loop import progress_line, take_step
from symbio.train.opening import open_session
from symbio.train.paths import Paths
from symbio.train.saving import save
from symbio.train.session import Session

DATASET = "nyu"
WARM_UP = 5
STEPS = 40
CHECKPOINTS = 5


class Replay:
    """Batches made beforehand, handed out again and again: loading is no part of this."""

    def __init__(self, session: Session, number: int) -> None:
        self._steps = [session.batches.micro_batches(step) for step in range(number)]
        self.num_frames = session.batches.num_frames
        self.epoch = session.batches.epoch

    def micro_batches(self, step: int) -> list[Batch]:
        """Those of `step`."""
        return self._steps[step % len(self._steps)]


class Bare:
    """The shortest loop that trains: forward, backward, clip, step. Over ranks: DDP."""

    def __init__(self, objective: nn.Module, params: Any, place: Place) -> None:
        self._module = objective if place.world == 1 else DistributedDataParallel(objective)
        self._optimizer = build_optimizer(objective, params)
        self._clip_norm = params.clip_norm
        self._autocast = params.precision == "bf16"
        objective.train()

    def step(self, batches: list[Batch]) -> float:
        """One update; returns the loss."""
        self._optimizer.zero_grad()
        for number, batch in enumerate(batches):
            device = batch.image.device.type
            with torch.autocast(device, torch.bfloat16, enabled=self._autocast):
                losses = self._module(batch.image, batch.depth, batch.semantic, batch.confidence)
            loss = losses.total / len(batches)
            last = number + 1 == len(batches)
            if last or not isinstance(self._module, DistributedDataParallel):
                loss.backward()
            else:
                with self._module.no_sync():
                    loss.backward()
        nn.utils.clip_grad_norm_(self._module.parameters(), self._clip_norm)
        self._optimizer.step()
        return float(loss.detach())


def measure(place: Place, folder: Path, stage: int) -> dict[str, float]:
    """Medians of this rank, in seconds, and what checkpoints cost."""
    params = load_params(folder / "params.yaml")
    params = params.model_copy(
        update={"train": params.train.model_copy(update={"zero_stage": stage})}
    )
    paths = Paths(folder, DATASET)
    network = chosen_network(params, DATASET)
    device = group.device_of(place)
    group.join(place, device)
    paths.run.mkdir(parents=True, exist_ok=True)
    pulse = Pulse(paths.ranks, place, 300.0)
    pulse.start()
    session = open_session(
        params, paths, network, place, device, StopRequest(), None, "benchmark", pulse
    )
    session = replace(session, validation=None, batches=Replay(session, 6))
    bare = Bare(copy.deepcopy(session.engine.module), params.train, place)
    ours, theirs = [], []
    with progress_line(session) as line:
        for turn in range(WARM_UP + STEPS):
            batches = session.batches.micro_batches(turn)
            for kind in ("ours", "theirs") if turn % 2 else ("theirs", "ours"):
                begun = _now(device)
                if kind == "ours":
                    take_step(session, line)
                    ours.append(_now(device) - begun)
                else:
                    bare.step(batches)
                    theirs.append(_now(device) - begun)
        pairs = list(zip(ours, theirs, strict=True))[WARM_UP:]
        found = {
            "ours": statistics.median(pair[0] for pair in pairs),
            "bare": statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
        }
        found |= _checkpoints(session, line, found["ours"], device)
    pulse.close()
    return found


def _checkpoints(
    session: Session, line: Any, step_s: float, device: torch.device
) -> dict[str, float]:
    """What a checkpoint costs: training held up, and the steps beside the writing slowed down."""
    stalls, slowed, sizes = [], [], []
    for _ in range(CHECKPOINTS):
        begun = _now(device)
        save(session)
        saving = _now(device) - begun
        beside = []
        before = session.last_checkpoint
        while session.last_checkpoint is before:
            begun = _now(device)
            take_step(session, line)
            beside.append(_now(device) - begun)
        assert session.last_checkpoint is not None
        stalls.append(saving)
        slowed.append(sum(beside) - len(beside) * step_s)
        sizes.append(session.last_checkpoint.num_bytes)
    return {
        "checkpoint_stall": statistics.median(stalls),
        "checkpoint_slowed": statistics.median(slowed),
        "checkpoint_bytes": statistics.median(sizes),
    }


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> int:
    """`python -m benchmarks.ranks.training FOLDER STAGE OUT`, on any number of ranks."""
    folder, stage, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])

    def work(place: Place, stop: StopRequest) -> int:
        found = measure(place, folder, stage)
        if place.first:
            out.write_text(json.dumps(found))
        group.wait_for_all()
        return 0

    return be_a_rank(work)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # as every rank: shutdown would wait for communication threads
