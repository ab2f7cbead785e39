"""Opening a rank's session: data, network, engine, and the checkpoint to continue from."""

from __future__ import annotations

import copy
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symbio.data.classes import class_space
from symbio.data.labels import TrainingLabels
from symbio.data.loader import GlobalBatches
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.model.network import SymbioticNetwork
from symbio.params import Params, TrainParams
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.ranks.pulse import Pulse
from symbio.ranks.sharing import agreed, share_of_host
from symbio.ranks.stop import StopRequest
from symbio.train.checkpoints import checkpoint, universal
from symbio.train.checkpoints.checkpoint import State
from symbio.train.checkpoints.writer import Writer
from symbio.train.claim import says_classes, uses_pseudo
from symbio.train.engine import (
    GatedAdamW,
    build_engine,
    communication_backend,
    decaying_and_not,
)
from symbio.train.loss import class_weights
from symbio.train.objective import Objective
from symbio.train.paths import Paths
from symbio.train.records.frames import FramesLog
from symbio.train.records.journal import Journal
from symbio.train.session import Session
from symbio.train.step import Stepper
from symbio.train.validate import open_validation
from symbio.train.watch.clock import StepClock
from symbio.train.watch.meter import open_meter
from symbio.train.watch.profile import StepTrace, steps_to_trace
from symbio.train.weights import Average

_HISTOGRAM_FRAMES = 2000
"""Training frames from which class frequencies are taken, evenly spaced."""
_CAMERA = ("focal_of_width",)
"""What a header may say of the camera, and a model's card repeats."""


def open_session(
    params: Params,
    paths: Paths,
    network: SymbioticNetwork,
    place: Place,
    device: torch.device,
    stop: StopRequest,
    folder: Path | None,
    fingerprint: str,
    pulse: Pulse,
) -> Session:
    """Open everything and load the verified checkpoint `folder`, if any. Collective.

    Raises:
        SymbioError: data is missing or broken, or the checkpoint belongs to another run.
    """
    section = params.dataset(paths.dataset)
    share = share_of_host(place)

    def beat() -> None:
        pulse.beat("opening")

    prepared = agreed(lambda: Shards(paths.prepared, share, beat))
    pseudo = agreed(lambda: Shards(paths.pseudo, share, beat)) if uses_pseudo(params) else None
    plain = copy.deepcopy(network).to(device)
    objective = _objective(params, network, paths.dataset, pseudo, place, device, beat)
    clock = StepClock(device, pulse.beat)
    meter = open_meter(params, paths.dataset, network, place.world, device, clock)
    engine, optimizer, average, state = _engine_at(
        folder, params.train, paths.run, place, objective, fingerprint, beat
    )
    clock.listen_to(communication_backend())
    traced = steps_to_trace(os.environ)
    index_of = {key: index for index, key in enumerate(prepared.splits["train"])}
    return Session(
        params=params,
        dataset=paths.dataset,
        run=paths.run,
        place=place,
        device=device,
        batches=_batches(params, paths.dataset, prepared, pseudo, place, device),
        validation=open_validation(prepared, pseudo, params, paths.dataset),
        engine=engine,
        pulse=pulse,
        clock=clock,
        meter=meter,
        trace=StepTrace(paths.run, place, traced, clock) if traced else None,
        stepper=Stepper(
            engine, optimizer, params.seed, place, index_of, clock, params.train.clip_norm
        ),
        plain=plain,
        average=average,
        stop=stop,
        state=state,
        writer=Writer(paths.run, place, device, params.train.keep_checkpoints),
        journal=_journal(paths.run, state) if place.first else None,
        frames=FramesLog(paths.run, state.step, len(index_of)) if place.first else None,
        card={
            "dataset": paths.dataset,
            "protocol": section.protocol,
            "label_space": prepared.header["label_space"],
            "class_space": params.labels.space if says_classes(params) else None,
            **{key: prepared.header[key] for key in _CAMERA if key in prepared.header},
        },
        checkpointed=-1 if folder is None else state.step,
    )


def _engine_at(
    folder: Path | None,
    params: TrainParams,
    run: Path,
    place: Place,
    objective: Objective,
    fingerprint: str,
    beat: Callable[[], None],
) -> tuple[Any, GatedAdamW, Average | None, State]:
    """The engine as it was at the checkpoint `folder`, or at the start."""
    saved = None if folder is None else checkpoint.read_state(folder)
    if saved is not None and saved.fingerprint != fingerprint:
        raise SymbioError(f"{folder}: belongs to another run; remove {run} to start afresh")
    stage, names = params.zero_stage, decaying_and_not(objective)
    convert = saved is not None and universal.needed(saved, place.world, stage)
    engine, optimizer = build_engine(objective, params, place.world, convert and stage > 0)
    group.limit_waiting()
    beat()
    average = Average(engine.module, params.ema_decay) if params.ema_decay else None
    now = State(fingerprint=fingerprint, world=place.world, zero_stage=stage)
    if folder is None or saved is None:
        return engine, optimizer, average, now
    shards = folder
    if convert:
        shards = universal.converted(run, folder, saved, place, stage, names)
    beat()
    checkpoint.load(folder, shards, engine, optimizer)
    beat()
    if convert:
        universal.forget(run, place)
    if average is not None:
        average.load(checkpoint.read_average(folder), saved.average_updates, place.rank)
    return engine, optimizer, average, replace(saved, world=place.world, zero_stage=stage)


def _objective(
    params: Params,
    network: SymbioticNetwork,
    dataset: str,
    pseudo: Shards | None,
    place: Place,
    device: torch.device,
    beat: Callable[[], None],
) -> Objective:
    balance = params.train.class_balance
    weights = None
    if pseudo is not None and params.model.semantics and balance > 0:
        labels = TrainingLabels(pseudo, pseudo.splits["train"], params.labels, params.seed)
        counts = _histogram(labels, place, device, beat)
        weights = class_weights(_in_space(counts, params.labels.space), balance)
    depth_range = params.dataset(dataset).depth_range
    return Objective(network, params.train, depth_range, weights).to(device)


def _histogram(
    labels: TrainingLabels, place: Place, device: torch.device, beat: Callable[[], None]
) -> Tensor:
    """Pixels of each ADE20K class in the labels that training uses, float64 (256,)."""
    keys = labels.keys[:: -(-len(labels.keys) // _HISTOGRAM_FRAMES)]
    counts = torch.zeros(256, dtype=torch.float64)
    for key in keys[place.rank :: place.world]:
        beat()
        known = labels.load(key)
        if known is not None:
            counts += torch.bincount(torch.from_numpy(known[0]).flatten(), minlength=256)
    return group.total(counts.to(device)).cpu()


def _in_space(counts: Tensor, name: str) -> Tensor:
    """Pixels of each ADE20K class, (256,) -> of each class of a space, (K,)."""
    space = class_space(name)
    target = torch.from_numpy(space.from_ade20k.astype(np.int64))
    return torch.zeros(256, dtype=counts.dtype).index_add_(0, target, counts)[: len(space.names)]


def _batches(
    params: Params,
    dataset: str,
    prepared: Shards,
    pseudo: Shards | None,
    place: Place,
    device: torch.device,
) -> GlobalBatches:
    threads = 1
    if device.type == "cuda":
        threads = max(1, (os.cpu_count() or 1) // torch.cuda.device_count())
    return GlobalBatches(
        prepared,
        pseudo,
        params,
        dataset,
        rank=place.rank,
        world=place.world,
        device=device,
        threads=threads,
    )


def _journal(run: Path, state: State) -> Journal:
    started_by = os.environ.get("SYMBIO_RUN_ID", f"{socket.gethostname()}-{os.getpid()}")
    return Journal(run, started_by, state.step)
