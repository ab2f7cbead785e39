"""Numbers that are no numbers, full disks, kills in the middle of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.data.order import frame_at
from symbio.train.checkpoints.checkpoint import folder_of, steps_in
from symbio.train.records.journal import read_journal
from symbio.train.records.status import read_status
from tests.train.faults import (
    nan_loss_at,
    nan_twice,
    no_space_at_save,
    write_fails,
)
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained
from tests.train.test_ranks import RUN, weights


def shards(root: Path, step: int) -> dict[str, Any]:
    """Everything in DeepSpeed's shards of a checkpoint that a step can change."""
    found = {}
    for path in sorted((folder_of(root / RUN, step) / "deepspeed").glob("*.pt")):
        content = torch.load(path, weights_only=False)
        found[path.name] = content.get("module") or content["optimizer_state_dict"]
        if "optimizer" in content:
            found[f"{path.name} optimizer"] = content["optimizer"]
    return found


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple):
        return []
    return [tensor for part in inner for tensor in tensors(part)]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_step_that_is_not_finite_on_one_rank_changes_nothing_on_any(
    tmp_path: Path, stage: int
) -> None:
    params = tiny_params(
        steps=5, checkpoint_every=1, keep_checkpoints=5, zero_stage=stage, mix={"mix": "none"}
    )
    root = make_project(tmp_path)
    ends = train_on(2, params, root, "auto", nan_twice, 1, 1, 3)
    trained(ends)
    status = read_status(root / RUN)
    assert status is not None
    assert status["skipped"] == 2
    for before, after in ((1, 2), (3, 4)):
        one, two = tensors(shards(root, before)), tensors(shards(root, after))
        assert len(one) == len(two) > 100
        for first, second in zip(one, two, strict=True):
            # Integers count the batches that a norm layer has seen; nothing reads them.
            assert first.dtype == torch.int64 or torch.equal(first, second)
    moved = zip(tensors(shards(root, 2)), tensors(shards(root, 3)), strict=True)
    assert not all(torch.equal(*pair) for pair in moved)
    assert all(weight.isfinite().all() for weight in weights(root).values())
    # Position = step * batch + place; rank 1 has the second micro-batch of two frames.
    expected = [f"train-{frame_at(5, 6, 1 * 4 + place)}" for place in (2, 3)]
    said = ends[0].said
    assert f"step 2 skipped: the loss was not finite on frames {', '.join(expected)}" in said
    assert "step 4 skipped: the gradients were not finite" in said


def test_too_many_bad_steps_in_a_row_stop_all_ranks_and_name_the_frames(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    params = tiny_params(steps=9, max_bad_steps=2, mix={"mix": "none"})
    ends = train_on(2, params, root, "auto", nan_loss_at, 0, [1, 3, 4])
    frames = ", ".join(f"train-{frame_at(5, 6, 4 * 4 + place)}" for place in (0, 1))
    for end in ends:
        assert end.error is not None
        assert end.error.startswith("SymbioError: 2 steps in a row were skipped")
        assert frames in end.error
    status = read_status(root / RUN)
    assert status is not None
    assert status["state"] == "failed"
    assert frames in status["message"]
    assert [r["step"] for r in read_journal(root / RUN)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_full_disk_costs_one_checkpoint_and_not_the_run(tmp_path: Path) -> None:
    params = tiny_params(steps=4, checkpoint_every=1, keep_checkpoints=4)
    root = make_project(tmp_path / "checked before")
    ends = train_on(2, params, root, "auto", no_space_at_save, 2)
    trained(ends)
    assert steps_in(root / RUN) == [4, 3, 1]
    assert "CHECKPOINT of step 2 NOT written" in ends[0].said
    for rank, name in ((1, "zero_pp_rank_1"), (0, "mp_rank_00_model")):
        root = make_project(tmp_path / f"rank {rank}")
        ends = train_on(2, params, root, "auto", write_fails, rank, name)
        trained(ends)
        assert steps_in(root / RUN) == [4, 3, 2]
        assert "No space left" in ends[0].said
        assert not list((root / RUN).glob(".step-*"))
