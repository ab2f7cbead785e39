"""The estimated peak against the measured one of real runs: three networks, two crops.

Each run is an ordinary `python -m symbio.train` in a fresh process, which notes its own peak.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from symbio.params import Params
from symbio.plan.baseline import Baseline
from symbio.plan.budget import last_measured
from symbio.plan.memory import Estimate
from symbio.plan.trace import trace_step
from symbio.train.fingerprint import shape_of
from symbio.train.watch.device import device_name
from tests.train.project import SPLITS, make_project, tiny_params

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL, LARGE = (224, 224), (256, 384)
CASES = [
    ("test_maxvit", 1, SMALL, 1),
    ("test_maxvit", 1, LARGE, 1),
    ("resnet18", 0, SMALL, 1),
    ("resnet18", 0, LARGE, 1),
    ("convnext_pico", 2, SMALL, 1),
    ("convnext_pico", 2, LARGE, 1),
    ("test_maxvit", 1, SMALL, 2),
]
"""Encoder, ZeRO stage, size of the frames, micro-batches a step."""


def _params(encoder: str, zero_stage: int, size: tuple[int, int], turns: int) -> Params:
    model = {"encoder": encoder, "channels": 64}
    params = tiny_params(
        steps=5, batch=4 * turns, micro_batch=4, zero_stage=zero_stage, model=model
    )
    return params.model_copy(update={"nyu": params.nyu.model_copy(update={"image_size": size})})


def _measured_peak(params: Params, root: Path) -> int:
    """Bytes of a rank that trains five steps."""
    # JSON is YAML.
    (root / "params.yaml").write_text(params.model_dump_json())
    told = subprocess.run(
        [sys.executable, "-m", "symbio.train", "nyu", "--root", str(root)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "2",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-4000:]
    path = root / "checkpoints" / "measured" / "nyu.jsonl"
    found = last_measured(path, shape_of(params, "nyu"), device_name(CPU))
    return int(found[0]["peak_bytes"])


@pytest.fixture(scope="module")
def empty_rank() -> dict[int, int]:
    return Baseline(_params("test_maxvit", 1, SMALL, 1)).result()


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "zero_stage", "size", "turns"), CASES)
def test_peak_is_within_15_percent_of_the_measured_one(
    encoder: str,
    zero_stage: int,
    size: tuple[int, int],
    turns: int,
    tmp_path: Path,
    empty_rank: dict[int, int],
) -> None:
    params = _params(encoder, zero_stage, size, turns)
    make_project(tmp_path)
    measured = _measured_peak(params, tmp_path)
    frames = SPLITS["train"] * size[0] * size[1] * 9
    trace = trace_step(params, "nyu", CPU)
    estimate = Estimate(trace, params.train, 1, turns, empty_rank, frames)
    peak = estimate.peak(zero_stage)
    ratio = peak.total / measured
    told = f"estimated {peak.total >> 20} MiB, measured {measured >> 20} MiB, ratio {ratio:.3f}"
    sys.stderr.write(f"{encoder} {size[0]}x{size[1]} ZeRO-{zero_stage} x{turns}: {told}\n")
    assert 0.85 < ratio < 1.15, told
    others = peak.weights + peak.optimizer + peak.gradients
    assert peak.activations > others, "the activations are to dominate"
