"""Another number of ranks, another ZeRO stage: the same state bit for bit, the same curve."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from symbio.ranks.place import Place
from symbio.train import rank
from symbio.train.checkpoints.checkpoint import State, folder_of, read_state
from symbio.train.checkpoints.universal import needed
from symbio.train.session import Session
from tests.train.faults import signal_at
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained
from tests.train.test_ranks import RUN, losses, weights

LONG: dict[str, Any] = {"steps": 8, "validate_every": 8, "ema_decay": 0.9}

CURVE = 1e-5
"""Relative bound on a loss after a switch. Measured: 1e-7, the last digit of a float32, from the
order in which gradients are summed; training may enlarge it, hence the room."""


def engine_state(session: Session) -> dict[str, Tensor]:
    """Weights, moments and counts of a live engine, whole, as DeepSpeed itself reads them out."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    engine = session.engine
    if engine.zero_optimization_stage() in (1, 2):
        # Loading or a first step leaves DeepSpeed's links to moments that are no longer used.
        engine.optimizer._hp_optimizer_states_linked = False
        engine.optimizer._lazy_init_hp_params_optimizer_state()
    found: dict[str, Tensor] = {}
    for name, weight in engine.module.named_parameters():
        if engine.zero_optimization_stage() == 0:
            found[name], moments = weight.detach(), engine.optimizer.state[weight]
        else:
            found[name] = safe_get_full_fp32_param(weight)
            moments = {
                key: safe_get_full_optimizer_state(weight, key) for key in ("exp_avg", "exp_avg_sq")
            }
        for key in ("exp_avg", "exp_avg_sq"):
            found[f"{name} {key}"] = moments[key].view(found[name].shape)
    inner = getattr(engine.optimizer, "optimizer", engine.optimizer)
    steps = {float(state["step"]) for state in inner.state.values()}
    decays = [group["weight_decay"] for group in inner.param_groups]
    found["updates and decays"] = torch.tensor([*steps, *decays])
    found |= {f"buffer {name}": b.float() for name, b in engine.module.named_buffers()}
    return {name: tensor.clone() for name, tensor in found.items()}


def watch_state(place: Place, folder: Path, stop_at: int | None) -> None:
    """Keep the engine's state after loading and on leaving; stop after `stop_at` more steps."""
    original = rank.train

    def train(session: Session) -> Any:
        # All ranks: reading out is collective.
        loaded = engine_state(session) if session.state.step else {}
        live = dict(session.engine.module.named_parameters())
        for name, weight in live.items():
            if loaded and session.engine.zero_optimization_stage() < 3:
                assert torch.equal(weight, loaded[name]), name
        outcome = original(session)
        if place.first:
            torch.save({"loaded": loaded}, folder / "loaded.pt")
        left = engine_state(session)
        if place.first:
            torch.save(left, folder / "left.pt")
        return outcome

    rank.train = train
    if stop_at is not None:
        signal_at(place, 0, stop_at, signal.SIGTERM)


def run(
    root: Path, world: int, stage: int, stop_at: int | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Train on until step `stop_at` + 1 or the end; the state after loading and on leaving."""
    params = tiny_params(**{**LONG, "zero_stage": stage})
    ends = train_on(world, params, root, "auto", watch_state, root, stop_at)
    trained(ends, "finished" if stop_at is None else "preempted")
    loaded = torch.load(root / "loaded.pt")["loaded"]
    return loaded, torch.load(root / "left.pt")


def assert_equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two ranks at ZeRO stage 2."""
    root = make_project(tmp_path_factory.mktemp("undisturbed"))
    trained(train_on(2, tiny_params(**{**LONG, "zero_stage": 2}), root))
    return root


def assert_same_curve(root: Path, undisturbed: Path) -> None:
    pairs = zip(losses(root), losses(undisturbed), strict=True)
    apart = [abs(one - two) / two for one, two in pairs]
    print("relative differences of losses", " ".join(f"{value:.1e}" for value in apart))
    assert max(apart) < CURVE


def assert_close_weights(first: Path, second: Path) -> None:
    """The exported weights are equal up to the order of float sums.

    A bias ahead of a BatchNorm, and that of attention's keys, changes no output: its gradient is
    rounding alone, which Adam scales up to steps of the learning rate, and the running mean behind
    the bias follows it.
    """
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name in one:
        if "num_batches" in name:
            continue  # counts what a rank has seen
        loose = name.endswith((".bias", ".running_mean"))
        # Running variances are no small numbers, and rounding is relative.
        is_variance = name.endswith(".running_var")
        scale = max(1.0, float(two[name].abs().max())) if is_variance else 1.0
        apart = float((one[name] - two[name]).abs().max()) / scale
        assert apart < (2e-3 if loose else 1e-5), f"{name}: {apart:.1e}"


@pytest.mark.slow
def test_two_ranks_at_stage_2_then_one_at_stage_0_and_back(
    undisturbed: Path, tmp_path: Path
) -> None:
    root = make_project(tmp_path)
    _, left = run(root, 2, 2, stop_at=2)
    loaded, left_again = run(root, 1, 0, stop_at=5)
    assert_equal(loaded, left)
    loaded, _ = run(root, 2, 2)
    assert_equal(loaded, left_again)
    state = read_state(folder_of(root / RUN, 6))
    assert (state.world, state.zero_stage) == (1, 0)
    assert_same_curve(root, undisturbed)
    assert_close_weights(root, undisturbed)


@pytest.mark.slow
def test_every_stage_loads_what_every_other_saved(undisturbed: Path, tmp_path: Path) -> None:
    root = make_project(tmp_path)
    left: dict[str, Tensor] = {}
    # Every ordered pair of layouts (0, 1 or 2, and 3), and 1 <-> 2 without converting.
    for step, stage in enumerate((0, 1, 2, 3, 0, 3, 1)):
        loaded, now = run(root, 2, stage, stop_at=step)
        if left:
            assert_equal(loaded, left)
        left = now
    loaded, _ = run(root, 2, 0)
    assert_equal(loaded, left)
    assert_same_curve(root, undisturbed)


def test_only_cut_layouts_that_differ_are_converted() -> None:
    def on(world: int, stage: int) -> State:
        return State(world=world, zero_stage=stage)

    assert not needed(on(2, 0), 1, 0)
    assert not needed(on(2, 1), 2, 2)
    assert needed(on(2, 1), 1, 1)
    assert needed(on(2, 0), 2, 1)
    assert needed(on(2, 3), 2, 2)
