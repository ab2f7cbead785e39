"""Everything a plan holds, from params, traces and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from symbio.data.dataset import CACHE_BYTES
from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import Params, section_key
from symbio.plan import budget, fit
from symbio.plan.baseline import Baseline
from symbio.plan.budget import Duration
from symbio.plan.memory import Estimate
from symbio.plan.plan import Plan
from symbio.plan.probe import micro_batch_s
from symbio.plan.stages import StagesQuestion
from symbio.plan.trace import StepTrace, trace_step, training_size
from symbio.ranks.launch import expected_nodes, expected_ranks
from symbio.ranks.settings import Settings
from symbio.train.fingerprint import shape_of
from symbio.train.paths import Paths
from symbio.train.watch.device import device_name

_FRAME_BYTES_A_PIXEL = 3 + 4 + 1 + 1
"""Image, depth, class, confidence."""


def assemble(
    params: Params,
    dataset: str,
    root: Path,
    settings: Settings,
    question: StagesQuestion,
    baseline: Baseline | None,
    price_an_hour: float | None,
    probe: bool,
) -> Plan:
    """Put the plan together; see `symbio.plan.run.run`."""
    paths, train = Paths(root, dataset), params.train
    device = torch.device("cpu" if baseline is not None else "cuda")
    name = device_name(device)
    world, nodes = expected_ranks(settings), expected_nodes(settings)
    turns = max(1, train.batch // (train.micro_batch * world))
    problems = [fit.division_problem(train, world)]
    trace: StepTrace | None = None
    try:
        trace = trace_step(params, dataset, device)
    except SymbioError as error:
        problems.append(f"the network cannot be built: {error}")
    except (ValueError, RuntimeError) as error:
        # Of torch: a map that is too small for a norm, or shapes that do not meet.
        problems.append(
            f"the network cannot take a step ({error}); change model.encoder, "
            f"{section_key(dataset)}.image_size or train.augment.crop"
        )
    stages, unknown = question.answer()
    limit = fit.limit_of(device, settings.ranks)
    frames = _training_frames(params, paths)
    peaks, disk = [], None
    if trace is not None:
        host = None if baseline is None else baseline.result()
        kept = _kept_frames(params, dataset, frames) if baseline is not None else 0
        estimate = Estimate(trace, train, world, turns, host, kept)

        def estimate_of(other: Params) -> Estimate:
            count = max(1, other.train.batch // (other.train.micro_batch * world))
            traced = trace_step(other, dataset, device)
            return Estimate(traced, other.train, world, count, host, kept)

        peaks = [estimate.peak(stage) for stage in range(4)]
        problems.append(fit.memory_problem(params, dataset, estimate, limit, estimate_of))
        disk = budget.disk_of(train, trace.num_parameters, trace.buffer_bytes, paths)
        problems.append(fit.disk_problem(disk))
    found = budget.last_measured(
        paths.run.parent / "measured" / f"{dataset}.jsonl", shape_of(params, dataset), name
    )
    measured = next((entry for entry in found if entry["ranks"] == world), None)
    duration, not_known = _duration(measured), "no run of this shape was measured here"
    if found and measured is None:
        not_known = f"the last run of this shape here had {found[0]['ranks']} ranks"
    if duration is None and probe and trace is not None:
        seconds = turns * micro_batch_s(params, dataset, device, settings.ranks)
        duration = Duration(seconds, "probed, without data and communication")
    cost = None
    if price_an_hour is not None and duration is not None:
        cost = budget.cost(duration.step_s * train.steps, nodes, price_an_hour)
    return Plan(
        dataset=dataset,
        device=name,
        hosts=nodes,
        ranks=world,
        batch=train.batch,
        micro_batch=train.micro_batch,
        accumulation=turns,
        zero_stage=train.zero_stage,
        size=training_size(params, dataset),
        stages=stages,
        stages_unknown=unknown,
        num_parameters=None if trace is None else trace.num_parameters,
        flops_a_frame=None if trace is None else trace.flops_a_frame,
        peaks=peaks,
        limit=limit,
        cuda_context=fit.CUDA_CONTEXT if device.type == "cuda" else 0,
        measured=measured,
        steps=train.steps,
        epochs=None if frames is None else train.steps * train.batch / frames,
        disk=disk,
        duration=duration,
        duration_unknown=f"{not_known}; --probe times a few micro-batches",
        cost=cost,
        problems=[problem for problem in problems if problem is not None],
    )


def _duration(measured: dict[str, Any] | None) -> Duration | None:
    if measured is None:
        return None
    return Duration(measured["step_s"], f"last run of this shape, {measured['time']}")


def _training_frames(params: Params, paths: Paths) -> int | None:
    """Frames of the training split, if the data is prepared; else about those of the sample."""
    try:
        return len(read_json(paths.prepared / "index.json", "an index")["splits"]["train"]) or None
    except (SymbioError, KeyError, TypeError):
        section = params.dataset(paths.dataset)
        if section.sample is None or section.raw != f"data/sample/{paths.dataset}":
            return None
        return round(section.sample.train * (1.0 - section.val_share)) or None


def _kept_frames(params: Params, dataset: str, frames: int | None) -> int:
    """Bytes of decoded frames that a rank ends up keeping; at most the bound of the cache."""
    height, width = params.dataset(dataset).image_size
    if frames is None:
        return CACHE_BYTES
    return min(CACHE_BYTES, frames * height * width * _FRAME_BYTES_A_PIXEL)
