"""A resumed run is the uninterrupted run, bit for bit; damage is found, named and survived."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.params import Params
from symbio.train.checkpoints.checkpoint import folder_of, read_state, steps_in
from symbio.train.records.journal import read_journal
from symbio.train.records.status import read_status
from tests.train.faults import kill_at, signal_at
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained
from tests.train.test_ranks import RUN, losses, weights
from tests.train.test_universal import CURVE, assert_close_weights

LONG: dict[str, Any] = {
    "steps": 6,
    "checkpoint_every": 2,
    "keep_checkpoints": 3,
    "validate_every": 3,
    "ema_decay": 0.9,
}


def metrics(root: Path) -> list[dict[str, float]]:
    """The standing metric records without those of clock and memory."""
    records = read_journal(root / RUN)
    return [
        {"step": r["step"], **{k: v for k, v in r["metrics"].items() if repeats(k)}}
        for r in records
    ]


def repeats(name: str) -> bool:
    """Whether a metric is the same in every run of the same parameters."""
    return not name.startswith(("time/", "memory/")) and name != "train/frames_per_s"


def assert_same_run(first: Path, second: Path) -> None:
    assert metrics(first) == metrics(second)
    one, two = weights(first), weights(second)
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run on two ranks."""
    root = make_project(tmp_path_factory.mktemp("whole"))
    trained(train_on(2, tiny_params(**LONG), root))
    return root


def status_of(root: Path) -> dict[str, Any]:
    status = read_status(root / RUN)
    assert status is not None
    return status


@pytest.mark.slow
def test_sigterm_to_one_rank_checkpoints_all_and_the_rerun_is_bit_equal(
    whole: Path, tmp_path: Path
) -> None:
    params, root = tiny_params(**LONG), make_project(tmp_path)
    trained(train_on(2, params, root, "auto", signal_at, 1, 2, signal.SIGTERM), "preempted")
    assert (status_of(root)["state"], status_of(root)["step"]) == ("preempted", 3)
    assert steps_in(root / RUN)[0] == 3
    trained(train_on(2, params, root))
    assert_same_run(whole, root)


@pytest.mark.slow
def test_a_killed_rank_ends_the_others_and_the_rerun_is_bit_equal(
    whole: Path, tmp_path: Path
) -> None:
    params, root = tiny_params(**LONG), make_project(tmp_path)
    ends = train_on(2, params, root, "auto", kill_at, 1, 5)
    assert [end.code for end in ends] == [1, -signal.SIGKILL]
    assert status_of(root)["state"] == "failed"
    # That of step 2 stood before that of step 4 was begun, which may have been on its way.
    assert steps_in(root / RUN)[-1] == 2
    assert status_of(root)["checkpoint"] == steps_in(root / RUN)[0]
    trained(train_on(2, params, root))
    assert_same_run(whole, root)


def copy_of(whole: Path, root: Path) -> Path:
    """The uninterrupted run as if it had been killed after its last checkpoint."""
    shutil.copytree(whole, root, dirs_exist_ok=True)
    (root / RUN / "status.json").unlink()
    shutil.rmtree(root / "models")
    return root


def damage(root: Path, step: int, how: str) -> Path:
    """Harm a file of a checkpoint, the largest if `how` names none."""
    folder = folder_of(root / RUN, step)
    victim = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    if how in ("state.json", "manifest.json"):
        victim = folder / how
    data = bytearray(victim.read_bytes())
    if how == "empty":
        victim.write_bytes(b"")
    elif how == "state.json":
        victim.write_bytes(data.replace(b"{", b"[", 1))
    elif how == "flip":
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif how == "truncate":
        victim.write_bytes(data[:-100])
    else:
        victim.unlink()
    return victim


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", ["flip", "truncate", "remove", "empty", "manifest.json", "state.json"]
)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_continues(
    whole: Path, tmp_path: Path, how: str
) -> None:
    root = copy_of(whole, tmp_path)
    victim = damage(root, 6, how)
    ends = train_on(2, tiny_params(**LONG), root)
    trained(ends)
    assert_same_run(whole, root)
    assert str(victim.relative_to(root)) in ends[0].said
    assert "continuing from the checkpoint of step 4" in ends[0].said
    assert (root / RUN / "aside" / "step-00000006").is_dir()


@pytest.mark.slow
def test_without_a_whole_checkpoint_training_refuses_to_start_at_0(
    whole: Path, tmp_path: Path
) -> None:
    root = copy_of(whole, tmp_path)
    victims = [damage(root, step, "flip") for step in (2, 4, 6)]
    for end in train_on(2, tiny_params(**LONG), root):
        assert end.error is not None
        assert end.error.startswith("SymbioError")
        assert all(str(victim.relative_to(root)) in end.error for victim in victims)
        assert "step 0" in end.error
    assert steps_in(root / RUN) == [6, 4, 2]


@pytest.mark.slow
def test_resuming_an_earlier_step_repeats_the_rest(whole: Path, tmp_path: Path) -> None:
    root = copy_of(whole, tmp_path)
    trained(train_on(2, tiny_params(**LONG), root, "2"))
    assert_same_run(whole, root)
    assert steps_in(root / RUN) == [6, 4, 2]


@pytest.mark.slow
def test_other_parameters_start_afresh_but_are_refused_by_an_explicit_resume(
    whole: Path, tmp_path: Path
) -> None:
    root = copy_of(whole, tmp_path)
    other = tiny_params(**{**LONG, "lr": 1e-3})
    for end in train_on(2, other, root, "4"):
        assert "train.lr: 0.003 -> 0.001" in str(end.error)
    ends = train_on(2, other, root)
    trained(ends)
    assert losses(root)[0] == losses(whole)[0]
    assert losses(root)[2:] != losses(whole)[2:]
    assert "train.lr: 0.003 -> 0.001" in ends[0].said
    assert steps_in(root / "checkpoints" / "nyu.previous") == [6, 4, 2]


def other_world(root: Path, first: int, then: int, params: Params) -> None:
    trained(train_on(first, params, root, "auto", signal_at, 0, 2, signal.SIGTERM), "preempted")
    trained(train_on(then, params, root))


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_another_number_of_ranks_continues(whole: Path, tmp_path: Path, stage: int) -> None:
    params = tiny_params(**{**LONG, "zero_stage": stage})
    for first, then in ((2, 1), (1, 2)) if stage == 1 else ((2, 1),):
        root = make_project(tmp_path / f"{first}-{then}")
        other_world(root, first, then, params)
        assert read_state(folder_of(root / RUN, 6)).world == then
        assert losses(root) == pytest.approx(losses(whole), rel=CURVE)
        assert_close_weights(root, whole)
