"""The log of the frames: each epoch is a permutation, whatever happened on the way."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from symbio.data.order import frame_at
from symbio.errors import SymbioError
from symbio.train.records.frames import FRAMES_FILE, FramesLog, read_frames
from tests.train.faults import kill_at, signal_at
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained
from tests.train.test_ranks import RUN

NUM_FRAMES, BATCH, STEPS = 10, 4, 10
SPLITS = {"train": NUM_FRAMES, "val": 2, "test": 2}
SEED = 5


def params_of(**changed: Any) -> Any:
    return tiny_params(
        **{
            "steps": STEPS,
            "batch": BATCH,
            "micro_batch": 1,
            "checkpoint_every": 2,
            "validate_every": STEPS,
            **changed,
        }
    )


def test_later_lines_stand_and_torn_ones_are_left_out(tmp_path: Path) -> None:
    log = FramesLog(tmp_path, 0, 100)
    for step in range(4):
        log.add(step, [step, 10 * step])
    with (tmp_path / FRAMES_FILE).open("a") as file:
        file.write('{"step":4,"fram')
    assert read_frames(tmp_path) == {step: [step, 10 * step] for step in range(4)}
    # Step 3 and the torn step 4 were lost with the process that took them.
    again = FramesLog(tmp_path, 2, 100)
    assert list(read_frames(tmp_path)) == [0, 1]
    again.add(2, [7, 8])
    assert read_frames(tmp_path) == {0: [0, 0], 1: [1, 10], 2: [7, 8]}


def test_too_many_frames_for_exact_indices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match="16777217 frames"):
        FramesLog(tmp_path, 0, 2**24 + 1)


def test_no_log_is_no_frames(tmp_path: Path) -> None:
    assert read_frames(tmp_path) == {}


@pytest.mark.slow
def test_killed_and_resumed_in_mid_epoch_every_epoch_is_a_permutation(tmp_path: Path) -> None:
    alone, root = make_project(tmp_path / "1", SPLITS), make_project(tmp_path / "2", SPLITS)
    trained(train_on(1, params_of(), alone))
    # An epoch is two steps and a half; two ranks take two micro-batches each a step.
    ends = train_on(2, params_of(), root, "auto", kill_at, 1, 6)
    assert ends[1].code == -signal.SIGKILL
    assert len(read_frames(root / RUN)) == 6
    trained(train_on(2, params_of(), root, "auto", signal_at, 1, 6, signal.SIGTERM), "preempted")
    trained(train_on(1, params_of(), root))
    seen = read_frames(root / RUN)
    assert list(seen) == list(range(STEPS))
    assert seen == read_frames(alone / RUN)
    order = [frame for step in range(STEPS) for frame in seen[step]]
    assert order == [frame_at(SEED, NUM_FRAMES, place) for place in range(STEPS * BATCH)]
    for epoch in range(STEPS * BATCH // NUM_FRAMES):
        frames = order[epoch * NUM_FRAMES : (epoch + 1) * NUM_FRAMES]
        assert sorted(frames) == list(range(NUM_FRAMES))
