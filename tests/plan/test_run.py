"""The verb: what it prints, what it returns, and what it finds of earlier runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.params import Params
from symbio.plan.budget import cost, duration_text
from symbio.train.fingerprint import shape_of
from symbio.train.records.measured import Measurement, append_measurement
from symbio.train.watch.device import device_name
from tests.train.project import make_project, tiny_params

ROOT = Path(__file__).parents[2]


def _plan(root: Path, params: Params, *flags: str) -> subprocess.CompletedProcess[str]:
    (root / "params.yaml").write_text(params.model_dump_json())
    return subprocess.run(
        [sys.executable, "-m", "symbio.cli", "plan", "nyu", *flags],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def _measurement(params: Params, ranks: int) -> Measurement:
    return Measurement(
        fingerprint="f",
        shape=shape_of(params, "nyu"),
        ranks=ranks,
        device=device_name(torch.device("cpu")),
        peak_bytes=10**9,
        start_bytes=7 * 10**8,
        step_s=9.0,
        frames_per_s=0.5,
        checkpoint_bytes=None,
        checkpoint_s=None,
        steps=5,
    )


@pytest.mark.slow
def test_plan_of_a_measured_shape_has_its_time_peak_and_cost(tmp_path: Path) -> None:
    make_project(tmp_path)
    params = tiny_params(steps=400)
    path = tmp_path / "checkpoints" / "measured" / "nyu.jsonl"
    append_measurement(path, _measurement(params, ranks=2))
    told = _plan(tmp_path, params, "--ranks", "2", "--price", "3", "--json")
    assert told.returncode == 0, told.stderr
    plan: dict[str, Any] = json.loads(told.stdout)
    assert plan["problems"] == []
    assert "DVC" in plan["stages_unknown"]
    assert plan["training_s"] == 3600.0
    assert plan["cost"] == 3.0
    assert plan["epochs"] == pytest.approx(400 * 4 / 6)
    assert [peak["stage"] for peak in plan["peaks"]] == [0, 1, 2, 3]
    assert all(peak["activations"] > 10**6 for peak in plan["peaks"])
    kept = json.loads(path.with_name("nyu.plan.json").read_text())
    (entry,) = kept.values()
    assert entry["measured_peak_bytes"] == 10**9
    assert entry["estimated_peak_bytes"] == plan["peaks"][1]["total"]


@pytest.mark.slow
def test_what_does_not_hold_is_said_with_the_parameter_and_code_2(tmp_path: Path) -> None:
    told = _plan(
        tmp_path, tiny_params(batch=4, micro_batch=4, zero_stage=0), "--ranks", "3", "--probe"
    )
    assert told.returncode == 2
    flat = " ".join(told.stdout.split())
    assert "train.batch: 12 works" in flat
    assert "peak a rank, ZeRO-0 (chosen)" in flat
    assert "s a step: probed" in flat
    told = _plan(tmp_path, tiny_params(model={"encoder": "test_maxwit"}))
    assert told.returncode == 2
    assert "did you mean test_maxvit" in " ".join(told.stdout.split())
    assert "Traceback" not in told.stderr


def test_shape_is_of_memory_and_speed_alone() -> None:
    base = shape_of(tiny_params(), "nyu")
    assert base == shape_of(tiny_params(lr=1.0, steps=9, semantic_weight=0.1), "nyu")
    assert base == shape_of(tiny_params(ema_decay=0.0), "nyu")
    others = [
        tiny_params(micro_batch=1),
        tiny_params(precision="bf16"),
        tiny_params(zero_stage=2),
        tiny_params(ema_decay=0.9),
        tiny_params(model={"encoder": "test_resnet"}),
        tiny_params(model={"semantics": False}),
    ]
    shapes = {shape_of(other, "nyu") for other in others}
    assert len(shapes) == len(others)
    assert base not in shapes


def test_cost_and_times() -> None:
    assert cost(7200.0, 3, 2.5) == 15.0
    assert [duration_text(s) for s in (5, 600, 36_000)] == ["5 s", "10 min", "10.0 h"]
