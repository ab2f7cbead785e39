"""Checkpoints: whole or absent, verified before use, found again by the newest that verifies.

checkpoints/{dataset}/step-00000250/ holds DeepSpeed's shards under `deepspeed/`, the network's
buffers (DeepSpeed forgets them when the number of ranks changes), the averaged weights,
`state.json` and the manifest. It is written aside and renamed, so a folder of that name
is complete. DeepSpeed's shards are pickles: they are loaded only from the run's own folder, and
only after the manifest has passed on all ranks.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.train import manifest
from symbio.train.weights import saved_buffers

SHARDS = "deepspeed"
"""DeepSpeed's tag inside a checkpoint."""
AVERAGE = "average.safetensors"
BUFFERS = "buffers.safetensors"
STATE = "state.json"
POINTER = "newest.json"
ASIDE = "aside"

_NAME = re.compile(r"step-(\d{8})")
_SPARE_BYTES = 16 * 2**20


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


def save(
    run: Path,
    place: Place,
    state: State,
    engine: Any,
    average: dict[str, Tensor] | None,
    keep: int,
) -> bool:
    """Write the checkpoint of `state.step` and drop all but the newest `keep`. Collective.

    A disk that is full, or will be, costs this checkpoint only: the last good one stays, the
    partial one is removed, and the user is told.

    Returns:
        Whether the checkpoint stands; the same on all ranks.
    """
    final = folder_of(run, state.step)
    aside = run / f".{final.name}.part"
    problem = None
    if place.first:
        problem = _attempt(lambda: _make_room(run, aside, engine))
    problem = group.from_first(problem)
    if problem is None:
        problem = _write(aside, place, state, engine, average)
    if place.first:
        if problem is None:
            problem = _attempt(lambda: _publish(run, aside, final, state, keep))
        if problem is not None:
            shutil.rmtree(aside, ignore_errors=True)
            say(f"CHECKPOINT of step {state.step} NOT written, training goes on: {problem}")
    return group.from_first(problem) is None


def _write(
    aside: Path, place: Place, state: State, engine: Any, average: dict[str, Tensor] | None
) -> str | None:
    """Write and seal `aside`; returns the first problem of any rank, the same on all ranks."""
    with _Deferred(engine) as deferred:
        engine.save_checkpoint(str(aside), tag=SHARDS, save_latest=False)
    problem = deferred.problem
    if place.first and problem is None:
        buffers = saved_buffers(engine.module)
        problem = _attempt(lambda: _write_rest(aside, state, buffers, average))
    problem = _first_of(group.gather(problem))
    if problem is not None:
        return problem
    shares: list[dict[str, dict[str, Any]]] = [{}]
    mine = manifest.files_of(aside)[place.rank :: place.world]

    def seal_share() -> None:
        shares[0] = manifest.entries(aside, mine)

    problem = _first_of(group.gather(_attempt(seal_share)))
    every = group.gather(shares[0])
    if problem is None and place.first:
        merged = {name: entry for share in every for name, entry in share.items()}
        problem = _attempt(lambda: manifest.seal(aside, merged))
    agreed: str | None = group.from_first(problem)
    return agreed


def _write_rest(
    aside: Path, state: State, buffers: dict[str, Tensor], average: dict[str, Tensor] | None
) -> None:
    save_file({name: buffer.cpu() for name, buffer in buffers.items()}, aside / BUFFERS)
    if average is not None:
        save_file(average, aside / AVERAGE)
    write_json(aside / STATE, asdict(state))


def load(folder: Path, shards: Path, engine: Any) -> None:
    """Load a verified checkpoint into `engine`. Collective.

    Args:
        folder: the checkpoint.
        shards: where `deepspeed/` is: `folder`, or what it was converted to.
        engine: DeepSpeed's, fresh.

    Raises:
        SymbioError: DeepSpeed found nothing to load.
    """
    loaded, _ = engine.load_checkpoint(str(shards), tag=SHARDS, load_lr_scheduler_states=False)
    if group.any_rank(loaded is None, engine.device):
        raise SymbioError(f"{folder}: DeepSpeed could not load it; see the messages above")
    stored = load_file(folder / BUFFERS)
    with torch.no_grad():
        for name, buffer in saved_buffers(engine.module).items():
            buffer.copy_(stored[name])


def read_average(folder: Path) -> dict[str, Tensor]:
    """The averaged weights in a verified checkpoint."""
    weights: dict[str, Tensor] = load_file(folder / AVERAGE)
    return weights


class _Deferred:
    """Keeps a failed write on one rank from leaving the others in DeepSpeed's barriers."""

    def __init__(self, engine: Any) -> None:
        self._writer = engine.checkpoint_engine
        self._save = self._writer.save
        self.problem: str | None = None

    def __enter__(self) -> _Deferred:
        self._writer.save = self._try
        return self

    def __exit__(self, *error: object) -> None:
        del self._writer.save

    def _try(self, state_dict: Any, path: str) -> None:
        problem = _attempt(lambda: self._save(state_dict, path))
        self.problem = self.problem or problem


def _attempt(action: Callable[[], object]) -> str | None:
    """Run `action`; what went wrong with the disk in words, or None."""
    try:
        action()
    except (OSError, RuntimeError, SymbioError) as error:
        # torch.save reports a full disk as RuntimeError("unexpected pos ...").
        return f"{type(error).__name__}: {error}"
    return None


def _first_of(problems: list[str | None]) -> str | None:
    return next((problem for problem in problems if problem is not None), None)


def _make_room(run: Path, aside: Path, engine: Any) -> None:
    for leftover in run.glob(".step-*.part"):
        shutil.rmtree(leftover)
    need, free = _bytes_needed(run, engine), shutil.disk_usage(run).free
    if free < need + _SPARE_BYTES:
        raise SymbioError(
            f"{run}: a checkpoint needs {need / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free"
        )
    (aside / SHARDS).mkdir(parents=True)


def _bytes_needed(run: Path, engine: Any) -> int:
    """As much as the last checkpoint, or weights, master copy and two moments in float32."""
    for step in steps_in(run):
        files = manifest.read_manifest(folder_of(run, step))
        if files is not None:
            return int(sum(entry["bytes"] for entry in files.values()))
    numbers = sum(getattr(w, "ds_numel", w.numel()) for w in engine.module.parameters())
    return 16 * int(numbers)


def _publish(run: Path, aside: Path, final: Path, state: State, keep: int) -> None:
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    write_json(run / POINTER, {"step": state.step, "folder": final.name})
    for step in steps_in(run)[keep:]:
        shutil.rmtree(folder_of(run, step), ignore_errors=True)


def _report_lost(run: Path, step: int) -> None:
    pointer = run / POINTER
    newest = read_json(pointer, "the newest checkpoint")["step"] if pointer.is_file() else step
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
