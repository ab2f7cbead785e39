"""Opening a rank's session: data, network, engine, and the checkpoint to continue from."""

from __future__ import annotations

import copy
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symbio.data.dataset import load_pseudo
from symbio.data.frame import NUM_CLASSES
from symbio.data.loader import GlobalBatches
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.model.network import SymbioticNetwork
from symbio.params import Params, TrainParams
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.ranks.stop import StopRequest
from symbio.train import checkpoint, universal
from symbio.train.checkpoint import State
from symbio.train.claim import uses_pseudo
from symbio.train.engine import GatedAdamW, build_engine
from symbio.train.journal import Journal
from symbio.train.loop import Session
from symbio.train.loss import class_weights
from symbio.train.objective import Objective
from symbio.train.paths import Paths
from symbio.train.step import Stepper
from symbio.train.validate import open_validation
from symbio.train.weights import Average

_HISTOGRAM_FRAMES = 2000
"""Training frames from which class frequencies are taken, evenly spaced."""


def open_session(
    params: Params,
    paths: Paths,
    network: SymbioticNetwork,
    place: Place,
    device: torch.device,
    stop: StopRequest,
    folder: Path | None,
    fingerprint: str,
) -> Session:
    """Open everything and load the verified checkpoint `folder`, if any. Collective.

    Raises:
        SymbioError: data is missing or broken, or the checkpoint belongs to another run.
    """
    section = params.dataset(paths.dataset)
    prepared = Shards(paths.prepared)
    pseudo = Shards(paths.pseudo) if uses_pseudo(params) else None
    plain = copy.deepcopy(network).to(device)
    objective = _objective(params, network, paths.dataset, pseudo, place, device)
    engine, optimizer, average, state = _engine_at(
        folder, params.train, paths.run, place, objective, fingerprint
    )
    return Session(
        params=params,
        dataset=paths.dataset,
        run=paths.run,
        place=place,
        device=device,
        batches=_batches(params, paths.dataset, prepared, pseudo, place, device),
        validation=open_validation(prepared, pseudo, section, params.train.micro_batch),
        engine=engine,
        stepper=Stepper(engine, optimizer, params.seed, place),
        plain=plain,
        average=average,
        stop=stop,
        state=state,
        journal=_journal(paths.run, state) if place.first else None,
        card={
            "dataset": paths.dataset,
            "protocol": section.protocol,
            "label_space": prepared.header["label_space"],
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
) -> tuple[Any, GatedAdamW, Average | None, State]:
    """The engine as it was at the checkpoint `folder`, or at the start."""
    saved = None if folder is None else checkpoint.read_state(folder)
    if saved is not None and saved.fingerprint != fingerprint:
        raise SymbioError(f"{folder}: belongs to another run; remove {run} to start afresh")
    convert = saved is not None and universal.needed(saved, place)
    engine, optimizer = build_engine(objective, params, place.world, convert)
    group.limit_waiting()
    average = Average(engine.module, params.ema_decay) if params.ema_decay else None
    now = State(fingerprint=fingerprint, world=place.world, zero_stage=params.zero_stage)
    if folder is None or saved is None:
        return engine, optimizer, average, now
    shards = universal.converted(run, folder, saved, place) if convert else folder
    checkpoint.load(folder, shards, engine)
    if convert:
        universal.forget(run, place)
    if average is not None:
        average.load(checkpoint.read_average(folder), saved.average_updates, place.rank)
    return engine, optimizer, average, replace(saved, world=place.world)


def _objective(
    params: Params,
    network: SymbioticNetwork,
    dataset: str,
    pseudo: Shards | None,
    place: Place,
    device: torch.device,
) -> Objective:
    balance = params.train.class_balance
    weights = None
    if pseudo is not None and params.model.semantics and balance > 0:
        weights = class_weights(_histogram(pseudo, place, device), balance)
    depth_range = params.dataset(dataset).depth_range
    return Objective(network, params.train, depth_range, weights).to(device)


def _histogram(pseudo: Shards, place: Place, device: torch.device) -> Tensor:
    """Pixels of each class in the pseudo-labels of the training split, float64 (150,)."""
    keys = pseudo.splits["train"]
    keys = keys[:: -(-len(keys) // _HISTOGRAM_FRAMES)]
    counts = torch.zeros(256, dtype=torch.float64)
    for key in keys[place.rank :: place.world]:
        label = torch.from_numpy(load_pseudo(pseudo, key)[0])
        counts += torch.bincount(label.flatten(), minlength=256)
    return group.total(counts.to(device)).cpu()[:NUM_CLASSES]


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
