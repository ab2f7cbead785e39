"""Schedules against torch's own and against their end points."""

from __future__ import annotations

import pytest
import torch

from symbio.train.schedule import cosine, learning_rate, one_cycle
from tests.train.project import tiny_params


@pytest.mark.parametrize(("steps", "share"), [(50, 0.2), (7, 0.5), (100, 0.02), (10, 0.0)])
def test_one_cycle_is_torchs(steps: int, share: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3e-3, total_steps=steps, pct_start=share, cycle_momentum=False
    )
    for step in range(steps):
        expected = optimizer.param_groups[0]["lr"]
        assert one_cycle(step, steps, 3e-3, share) == pytest.approx(expected, rel=1e-9)
        optimizer.step()
        if step + 1 < steps:
            theirs.step()


def test_cosine_rises_linearly_and_falls_to_zero() -> None:
    rates = [cosine(step, 100, 1.0, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == max(rates) == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)


def test_the_schedule_is_the_one_in_params() -> None:
    params = tiny_params(schedule="cosine", steps=100, lr=1.0, warmup_share=0.1).train
    assert learning_rate(55, params) == pytest.approx(0.5)
    assert learning_rate(9, tiny_params(steps=20, lr=2.0, warmup_share=0.5).train) == 2.0
