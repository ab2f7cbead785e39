"""Continuing on another number of ranks or at another ZeRO stage.

ZeRO's shards belong to the stage and the number of ranks that wrote them. Converting reads each
parameter with its two moments out of them (`whole.py`), bit for bit, and writes what DeepSpeed
loads anywhere: its universal layout of one folder of files a parameter, or, at stage 0, where
nothing is cut, the plain optimiser's state.
"""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.place import Place
from symbio.train.checkpoints.checkpoint import BUFFERS, SHARDS, State
from symbio.train.checkpoints.whole import MODEL_FILE, Whole, read_whole

Names = tuple[list[str], ...]
"""Parameters by name, group by group in the optimiser's order."""

_FOLDER = ".universal.part"
_LAYOUT = {0: "plain", 1: "moments cut", 2: "moments cut", 3: "weights cut"}
"""Stages of one layout read each other's shards, on as many ranks."""


def needed(saved: State, world: int, stage: int) -> bool:
    """Whether a checkpoint must be converted before `world` ranks can load it at a ZeRO stage."""
    if _LAYOUT[saved.zero_stage] != _LAYOUT[stage]:
        return True
    return stage > 0 and saved.world != world


def converted(
    run: Path, checkpoint: Path, saved: State, place: Place, stage: int, names: Names
) -> Path:
    """Convert a verified checkpoint on rank 0; every rank gets the folder to load from.

    Args:
        run: where there is room beside the checkpoints.
        checkpoint: the verified one.
        saved: its state.
        place: of this rank.
        stage: the ZeRO stage that is to load it.
        names: of the parameters.
    """
    folder = run / _FOLDER
    if place.first:
        say(
            f"converting the checkpoint of {_ranks(saved.world)} at ZeRO stage "
            f"{saved.zero_stage} for {_ranks(place.world)} at stage {stage}"
        )
        shutil.rmtree(folder, ignore_errors=True)
        (folder / SHARDS).mkdir(parents=True)
        shards = checkpoint / SHARDS
        whole = read_whole(shards, saved.zero_stage, saved.world, list(chain(*names)))
        if stage == 0:
            _write_plain(folder / SHARDS, whole, names, load_file(checkpoint / BUFFERS))
        else:
            _write_universal(folder / SHARDS, whole, names)
    group.wait_for_all()
    return folder


def forget(run: Path, place: Place) -> None:
    """Remove what `converted` made, once every rank has loaded it."""
    group.wait_for_all()
    if place.first:
        shutil.rmtree(run / _FOLDER, ignore_errors=True)


def _write_plain(folder: Path, whole: Whole, names: Names, buffers: dict[str, Tensor]) -> None:
    """What stage 0 saves: the module's state, and the optimiser's by the number of a weight."""
    module, groups = dict(buffers), []
    state: dict[int, dict[str, Tensor]] = {}
    for group_names in names:
        first = len(state)
        for name in group_names:
            module[name], mean, square = whole.parameter(name)
            step = torch.tensor(whole.updates)
            state[len(state)] = {"step": step, "exp_avg": mean, "exp_avg_sq": square}
        groups.append({"params": list(range(first, len(state)))})
    optimizer = {"state": state, "param_groups": groups}
    torch.save({**whole.common, "module": module, "optimizer": optimizer}, folder / MODEL_FILE)


def _write_universal(folder: Path, whole: Whole, names: Names) -> None:
    """DeepSpeed's universal layout. Settings of groups are left out: they are params.yaml's."""
    step = torch.tensor(whole.updates)
    for name in chain(*names):
        place = folder / "zero" / name
        place.mkdir(parents=True)
        files = zip(("fp32", "exp_avg", "exp_avg_sq"), whole.parameter(name), strict=True)
        for file, tensor in files:
            torch.save({"param": tensor}, place / f"{file}.pt")
        torch.save(step, place / "step.pt")
    groups: list[dict[str, Any]] = [{} for _ in names]
    for_stage_3 = {"state": {0: {"step": step}}, "param_groups": groups}
    together = {
        "ds_version": whole.common["ds_version"],
        "param_groups": groups,
        "optimizer_state_dict": for_stage_3,
    }
    torch.save(together, folder / "zero" / "optimizer_state.pt")
    # The one name is looked for by stages 1 and 2, the other by stage 3.
    for file in (MODEL_FILE, f"zero_pp_rank_0_{MODEL_FILE}"):
        torch.save({**whole.common, "module": {}}, folder / file)


def _ranks(count: int) -> str:
    return "1 rank" if count == 1 else f"{count} ranks"
