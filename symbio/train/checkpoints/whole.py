"""Parameters and Adam's moments out of a checkpoint's shards, whole and by name.

How DeepSpeed 0.19 lays them out:

* stage 0: one file; the module's state dict, and torch's optimiser state by number, the numbers
  running through the optimiser's groups;
* stages 1 and 2: one file a rank; per group the rank's piece of all the group's parameters laid
  end to end, and where in it which parameter's fragment lies;
* stage 3: one file a rank; per group, parameter after parameter, the rank's equal share of each,
  the last share padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

MODEL_FILE = "mp_rank_00_model_states.pt"
_OPTIMIZER_FILE = "mp_rank_00_optim_states.pt"
_TOO_MUCH = {"module", "optimizer", "param_shapes"}


class Moments(NamedTuple):
    """One parameter in float32, or a flat fragment of it."""

    weight: Tensor
    mean: Tensor
    """Adam's first moment."""
    square: Tensor
    """Adam's second moment."""


@dataclass
class Whole:
    """A checkpoint without its cuts. Tensors stay in the files until they are looked at."""

    common: dict[str, Any]
    """What DeepSpeed keeps beside weights and optimiser."""
    shapes: dict[str, torch.Size]
    """Of each parameter, by name."""
    fragments: dict[str, list[Moments]] = field(default_factory=dict)
    """Of each parameter, to be laid end to end."""
    updates: float = 0.0
    """Adam's count of updates."""

    def add(self, name: str, start: int, count: int, flat: Moments) -> None:
        """Append the `count` numbers from `start` of flat tensors to a parameter's fragments."""
        fragment = Moments(*(part.narrow(0, start, count) for part in flat))
        self.fragments.setdefault(name, []).append(fragment)

    def parameter(self, name: str) -> Moments:
        """A parameter, put together; what its last fragment holds beyond it is padding."""
        shape = self.shapes[name]
        parts = zip(*self.fragments[name], strict=True)
        return Moments(*(torch.cat(part)[: shape.numel()].view(shape) for part in parts))


def read_whole(folder: Path, stage: int, world: int, names: list[str]) -> Whole:
    """Open DeepSpeed's shards.

    Args:
        folder: of the shards, verified: they are pickles.
        stage: the ZeRO stage that wrote them.
        world: the number of ranks that did.
        names: of the parameters, in the order of the optimiser's groups.
    """
    model = _load(folder / (f"zero_pp_rank_0_{MODEL_FILE}" if stage == 3 else MODEL_FILE))
    common = {key: value for key, value in model.items() if key not in _TOO_MUCH}
    if stage == 0:
        whole = Whole(common, {name: model["module"][name].shape for name in names})
        _add_plain(whole, model, names)
    else:
        shapes = {name: shape for group in model["param_shapes"] for name, shape in group.items()}
        whole = Whole(common, shapes)
        add = _add_cut_weights if stage == 3 else _add_cut_moments
        for rank in range(world):
            shard = _load(folder / f"zero_pp_rank_{rank}_{_OPTIMIZER_FILE}")
            add(whole, shard["optimizer_state_dict"], model["param_shapes"], world)
    assert whole.fragments.keys() == set(names), "the checkpoint is of another network"
    return whole


def _add_plain(whole: Whole, model: dict[str, Any], names: list[str]) -> None:
    for number, name in enumerate(names):
        state, weight = model["optimizer"]["state"][number], model["module"][name]
        flat = Moments(*(t.flatten() for t in (weight, state["exp_avg"], state["exp_avg_sq"])))
        whole.add(name, 0, weight.numel(), flat)
        whole.updates = float(state["step"])


def _add_cut_moments(whole: Whole, shard: dict[str, Any], shapes: Any, world: int) -> None:
    states = shard["base_optimizer_state"]["state"]
    weights = shard["single_partition_of_fp32_groups"]
    for number, fragments in enumerate(shard["param_slice_mappings"]):
        flat = _flat(whole, weights[number], states[number])
        for name, fragment in fragments.items():
            whole.add(name, fragment.start, fragment.numel, flat)


def _add_cut_weights(whole: Whole, shard: dict[str, Any], shapes: Any, world: int) -> None:
    states = shard["optimizer_state_dict"]["state"]
    for number, group in enumerate(shapes):
        flat = _flat(whole, shard["fp32_flat_groups"][number], states[number])
        for name, start, count in _shares(group, world):
            whole.add(name, start, count, flat)


def _shares(group: dict[str, torch.Size], world: int) -> Iterator[tuple[str, int, int]]:
    start = 0
    for name, shape in group.items():
        count = -(-shape.numel() // world)
        yield name, start, count
        start += count


def _flat(whole: Whole, weight: Tensor, state: dict[str, Any]) -> Moments:
    whole.updates = float(state["step"])
    return Moments(weight, state["exp_avg"], state["exp_avg_sq"])


def _load(path: Path) -> dict[str, Any]:
    # weights_only=False: DeepSpeed's shards hold objects of its own.
    content: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=False)
    return content
