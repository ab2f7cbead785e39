"""Checkpoints: whole or absent, verified before use, found again by the newest that verifies.

checkpoints/{dataset}/step-00000250/ holds DeepSpeed's shards under `deepspeed/`, the network's
buffers (DeepSpeed forgets them when the number of ranks changes), the averaged weights,
`state.json` and the manifest. It is written aside and renamed (`writer.py`), so a folder of that
name is complete. DeepSpeed's shards are pickles: they are loaded only from the run's own folder,
and only after the manifest has passed on all ranks.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.optim import Optimizer

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.train.checkpoints import manifest
from symbio.train.weights import saved_buffers

SHARDS = "deepspeed"
"""DeepSpeed's tag inside a checkpoint."""
AVERAGE = "average.safetensors"
BUFFERS = "buffers.safetensors"
STATE = "state.json"
POINTER = "newest.json"
ASIDE = "aside"

_NAME = re.compile(r"step-(\d{8})")


@dataclass(frozen=True, slots=True)
class State:
    """Where a run is, besides weights and optimiser."""

    step: int = 0
    """Steps done; also the index of the next one."""
    skipped: int = 0
    """Steps skipped because a loss or gradient was not finite."""
    bad_in_a_row: int = 0
    validated: int = 0
    """The last step after which the val split was scored."""
    average_updates: int = 0
    world: int = 1
    zero_stage: int = 0
    fingerprint: str = ""


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps is."""
    return run / f"step-{step:08d}"


def steps_in(run: Path) -> list[int]:
    """Steps of the checkpoints of a run, newest first."""
    found = (_NAME.fullmatch(path.name) for path in run.glob("step-*") if path.is_dir())
    return sorted((int(match[1]) for match in found if match), reverse=True)


def choose(run: Path, place: Place, wanted: int | None) -> Path | None:
    """The checkpoint to continue from: the newest that verifies, or step `wanted`.

    Collective: every rank verifies its share of the files and all come to the same answer.
    Those that are damaged, or newer than `wanted`, are set aside.

    Returns:
        None only if the run has no checkpoint at all.

    Raises:
        SymbioError: there are checkpoints and none verifies, or `wanted` is not there or damaged.
    """
    steps: list[int] = group.from_first(steps_in(run))
    if wanted is not None and wanted not in steps:
        raise SymbioError(f"{run}: has no checkpoint of step {wanted}; there are {steps or 'none'}")
    problems: list[str] = []
    for step in steps if wanted is None else [wanted]:
        folder = folder_of(run, step)
        found = group.gather(manifest.problem_with(folder, place.rank, place.world))
        problem = next((text for text in found if text is not None), None)
        if problem is None:
            if place.first:
                _report_lost(run, step)
                _set_aside(run, [other for other in steps if other > step], problems)
                if problems:
                    say(f"continuing from the checkpoint of step {step}")
            group.wait_for_all()
            return folder
        problems.append(problem)
    if problems:
        raise SymbioError(
            f"{run}: no checkpoint to continue from is whole:\n  "
            + "\n  ".join(problems)
            + f"\nRestore one, or remove {run} to train again from step 0."
        )
    return None


def read_state(folder: Path) -> State:
    """The state in a verified checkpoint."""
    return State(**read_json(folder / STATE, "the state of a checkpoint"))


def load(folder: Path, shards: Path, engine: Any, optimizer: Optimizer) -> None:
    """Load a verified checkpoint into `engine`. Collective.

    Args:
        folder: the checkpoint.
        shards: where `deepspeed/` is: `folder`, or what it was converted to.
        engine: DeepSpeed's, fresh.
        optimizer: the one inside it.

    Raises:
        SymbioError: DeepSpeed found nothing to load.
    """
    # Weight decay and the like are params.yaml's, which the run's fingerprint vouches for.
    # DeepSpeed gives every group those of the first where it loads a universal checkpoint at
    # stage 3, and one tensor to count the updates of all, which then counts each group's.
    settings = [_without_weights(each) for each in optimizer.param_groups]
    loaded, _ = engine.load_checkpoint(str(shards), tag=SHARDS, load_lr_scheduler_states=False)
    if group.any_rank(loaded is None, engine.device):
        raise SymbioError(f"{folder}: DeepSpeed could not load it; see the messages above")
    for each, kept in zip(optimizer.param_groups, settings, strict=True):
        each.update(kept)
    for moments in optimizer.state.values():
        moments["step"] = moments["step"].clone()
    stored = load_file(folder / BUFFERS)
    with torch.no_grad():
        for name, buffer in saved_buffers(engine.module).items():
            buffer.copy_(stored[name])


def read_average(folder: Path) -> dict[str, Tensor]:
    """The averaged weights in a verified checkpoint."""
    weights: dict[str, Tensor] = load_file(folder / AVERAGE)
    return weights


def _without_weights(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "params"}


def _report_lost(run: Path, step: int) -> None:
    newest = step
    with contextlib.suppress(SymbioError, KeyError, TypeError):  # the pointer only adds a message
        newest = int(read_json(run / POINTER, "the newest checkpoint")["step"])
    if newest > step and not folder_of(run, newest).exists():
        say(f"{folder_of(run, newest)}: was written and is gone; continuing from step {step}")


def _set_aside(run: Path, steps: list[int], problems: list[str]) -> None:
    for problem in problems:
        say(f"damaged checkpoint: {problem}")
    for step in steps:
        target = run / ASIDE / folder_of(run, step).name
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        folder_of(run, step).rename(target)
        say(f"checkpoint of step {step} set aside in {target.parent}")
