"""Training on several ranks: one result, whatever the ranks, the accumulation and the stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from symbio.model.saved import load_network
from symbio.train.records.journal import read_journal
from symbio.train.records.status import read_status
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained

RUN = Path("checkpoints/nyu")


def losses(root: Path) -> list[float]:
    records = read_journal(root / RUN)
    return [r["metrics"]["train/loss"] for r in records if "train/loss" in r["metrics"]]


def weights(root: Path) -> dict[str, torch.Tensor]:
    return load_file(root / "models" / "nyu" / "weights.safetensors")


def train_fresh(root: Path, world: int, **train: Any) -> list[float]:
    trained(train_on(world, tiny_params(**train), make_project(root)))
    return losses(root)


def test_accumulation_on_one_rank_equals_two_ranks(tmp_path: Path) -> None:
    alone = train_fresh(tmp_path / "one", 1)
    together = train_fresh(tmp_path / "two", 2)
    assert len(alone) == 4
    assert alone[0] != alone[-1]
    assert together == pytest.approx(alone, rel=1e-4)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        if "num_batches" not in name:
            # Norm layers' running statistics too: the mean over all micro-batches.
            torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4)


def test_the_exported_network_loads_and_scores_what_its_card_says(tmp_path: Path) -> None:
    train_fresh(tmp_path, 2)
    network, card = load_network(tmp_path / "models" / "nyu")
    assert card["train"]["step"] == 4
    assert card["dataset"] == "nyu"
    assert card["train"]["selected_by"] == "abs_rel"
    last = read_journal(tmp_path / RUN)[-1]
    assert last["metrics"]["val/abs_rel"] == card["train"]["scores"]["abs_rel"]
    depth = network(network.normalise(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))).depth
    assert depth.isfinite().all()
    status = read_status(tmp_path / RUN)
    assert status is not None
    assert (status["state"], status["step"], status["ranks"]) == ("finished", 4, 2)


@pytest.mark.slow
def test_zero_stages_and_precisions_train_alike(tmp_path: Path) -> None:
    plain = train_fresh(tmp_path / "0", 2, zero_stage=0)
    for stage in (1, 2, 3):
        folder = tmp_path / str(stage)
        assert train_fresh(folder, 2, zero_stage=stage) == pytest.approx(plain, rel=1e-4)
    for stage in (0, 1, 3):
        folder = tmp_path / f"bf16-{stage}"
        found = train_fresh(folder, 2, zero_stage=stage, precision="bf16")
        assert found == pytest.approx(plain, rel=0.05)
        assert found != plain
