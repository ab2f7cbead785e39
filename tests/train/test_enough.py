"""Trainings that nobody wants any more: all ranks leave at the same step, without a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from symbio.ranks.place import Place
from symbio.ranks.settings import Settings
from symbio.ranks.stop import StopRequest, flags_of, reason_in
from symbio.train import validate
from symbio.train.abandon import abandon, abandoned, forget, forget_others
from symbio.train.launch import RUN_ID_VARIABLE
from symbio.train.records.status import read_status
from symbio.train.run import Enough, run
from tests.train.faults import _before_step
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained
from tests.train.test_ranks import RUN, weights

THIS_START = "the start under test"


def test_a_note_means_one_start_of_the_run(tmp_path: Path) -> None:
    assert not abandoned(tmp_path, "a")
    abandon(tmp_path, "a")
    assert abandoned(tmp_path, "a")
    assert not abandoned(tmp_path, "b")
    assert not abandoned(tmp_path, None)
    forget(tmp_path, "b")
    forget_others(tmp_path, "a")
    assert abandoned(tmp_path, "a")
    forget(tmp_path, "a")
    forget(tmp_path, "a")
    assert not list(tmp_path.iterdir())
    abandon(tmp_path, "a")
    forget_others(tmp_path, "b")
    assert not list(tmp_path.iterdir())


def test_a_signal_comes_before_a_note_on_any_rank() -> None:
    stop = StopRequest()
    assert stop.now() is None
    stop.ask_each_time(lambda: True)
    assert stop.now() == "abandoned"
    stop._on_signal(15, None)
    assert stop.now() == "preempted"
    stop._on_signal(2, None)
    assert stop.now() == "preempted"

    def agreed(*reasons: Any) -> Any:
        return reason_in([sum(column) for column in zip(*map(flags_of, reasons), strict=True)])

    assert agreed(None, None) is None
    assert agreed("abandoned", None) == "abandoned"
    assert agreed("abandoned", "interrupted") == "interrupted"


def note_at(place: Place, root: Path, step: int | None, batch: int | None) -> None:
    """Leave the note when rank 0 fetches a step, or has scored so many batches; log the steps."""
    os.environ[RUN_ID_VARIABLE] = THIS_START
    if place.first and step is None:
        # Of a launcher that was killed; it stops nobody.
        (root / RUN).mkdir(parents=True)
        abandon(root / RUN, "another start")

    def fetched(now: int) -> None:
        with (root / f"steps-{place.rank}").open("a") as file:
            file.write(f"{now}\n")
        if place.first and now == step:
            abandon(root / RUN, THIS_START)

    _before_step(fetched)
    original, scored = validate.Validation._add, []

    def add(*args: Any) -> None:
        original(*args)
        scored.append(1)
        if place.first and len(scored) == batch:
            abandon(root / RUN, THIS_START)

    validate.Validation._add = add  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "batch", "left_after"), [(3, None, 4), (None, 1, 4)])
def test_both_ranks_leave_together(
    tmp_path: Path, step: int | None, batch: int | None, left_after: int
) -> None:
    root = make_project(tmp_path)
    # Step 4 is also due to be saved and scored.
    params = tiny_params(steps=50, checkpoint_every=4, validate_every=4)
    trained(train_on(2, params, root, "auto", note_at, root, step, batch), "abandoned")
    steps = [(root / f"steps-{rank}").read_text().split() for rank in (0, 1)]
    assert steps[0] == steps[1]
    assert len(steps[0]) == left_after
    status = read_status(root / RUN)
    assert status is not None
    assert (status["state"], status["step"], status["checkpoint"]) == ("abandoned", left_after, -1)
    assert not list((root / RUN).glob("*step-*"))
    assert not (root / "models").exists()


@pytest.mark.slow
def test_enough_ends_the_run_in_order_and_the_same_command_may_still_finish_it(
    tmp_path: Path,
) -> None:
    root, params, seen = make_project(tmp_path), tiny_params(steps=8), []

    def enough(record: dict[str, Any]) -> None:
        seen.append(record["step"])
        raise Enough

    summary = run(params, "nyu", root, Settings(ranks=2), on_metrics=enough)
    assert (summary["state"], summary["exit_code"]) == ("abandoned", 0)
    assert (summary["model"], summary["stopped"], summary["checkpoint"]) == (None, False, -1)
    assert 1 <= summary["step"] < 8
    assert seen == list(range(1, summary["step"] + 1))
    left = {path.name for path in (root / RUN).iterdir()}
    assert left == {"frames.jsonl", "journal.jsonl", "run.json", "status.json"}
    assert not [one for one in psutil.Process().children() if "symbio.train" in one.cmdline()]

    assert run(params, "nyu", root, Settings(ranks=1))["state"] == "finished"
    assert weights(root)
