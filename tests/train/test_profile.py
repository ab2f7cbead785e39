"""`--profile`: a trace that other tools can read."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.ranks.place import Place
from symbio.ranks.settings import PROFILE_VARIABLE
from symbio.train.watch.profile import steps_to_trace
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained


def profiling(place: Place, steps: str) -> None:
    os.environ[PROFILE_VARIABLE] = steps


def test_a_trace_holds_the_steps_asked_for_with_their_parts(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    ends = train_on(1, tiny_params(steps=5), root, "auto", profiling, "2")
    trained(ends)
    folder = root / "checkpoints" / "nyu" / "profile"
    assert [path.name for path in folder.iterdir()] == ["rank-0.json.gz"]
    with gzip.open(folder / "rank-0.json.gz", "rt") as file:
        events = json.load(file)["traceEvents"]
    names = [event["name"] for event in events if event.get("ph") == "X"]
    # Two micro-batches a step, two steps.
    for part, count in {"data": 2, "forward": 4, "backward": 4, "optimizer": 4}.items():
        assert names.count(f"symbio.{part}") == count, part
    assert names.count("symbio.communication") >= 2
    assert "aten::convolution" in names
    assert "autograd::engine::evaluate_function: ConvolutionBackward0" in names
    assert str(folder / "rank-0.json.gz") in ends[0].said
    assert "2 steps" in ends[0].said
    assert "ui.perfetto.dev" in ends[0].said


def test_without_the_wish_there_is_no_trace_and_a_wrong_wish_is_refused() -> None:
    assert steps_to_trace({}) == 0
    assert steps_to_trace({PROFILE_VARIABLE: "3"}) == 3
    for wrong in ("0", "-1", "all", ""):
        with pytest.raises(SymbioError, match=PROFILE_VARIABLE):
            steps_to_trace({PROFILE_VARIABLE: wrong})
