"""Kills in the middle of a checkpoint that is written beside training."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from symbio.train.checkpoints import manifest
from symbio.train.checkpoints.checkpoint import folder_of, steps_in
from tests.train.faults import kill_in_save
from tests.train.project import make_project
from tests.train.ranks import train_on, trained
from tests.train.test_checkpoint_async import params_of
from tests.train.test_ranks import RUN


@pytest.mark.slow
def test_kill_9_at_20_random_moments_leaves_a_checkpoint_that_loads(tmp_path: Path) -> None:
    params = params_of(steps=8, checkpoint_every=1, keep_checkpoints=1, ema_decay=0.0)
    root = make_project(tmp_path / "data")
    seed = random.randrange(10**6)
    print("seed", seed)
    draw = random.Random(seed)
    stands, half = [], 0
    for number in range(20):
        victim = tmp_path / str(number)
        shutil.copytree(root, victim)
        delay_s = draw.uniform(0.0, 0.6)
        (end,) = train_on(1, params, victim, "auto", kill_in_save, 2, delay_s)
        assert end.code == -signal.SIGKILL
        steps = steps_in(victim / RUN)
        assert steps, f"killed after {delay_s} s: no checkpoint left"
        for step in steps:
            assert manifest.problem_with(folder_of(victim / RUN, step)) is None
        stands.append(steps[0])
        half += bool(list((victim / RUN).glob(".step-*")))
    print("newest checkpoints", stands, "half-written ones", half)
    trained(train_on(1, params, victim))
    assert not list((victim / RUN).glob(".step-*"))
