"""Peaks by ZeRO stage of a made-up step, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from symbio.plan import fit
from symbio.plan.budget import Disk
from symbio.plan.memory import Estimate
from symbio.plan.trace import StepTrace
from symbio.train.batching import accumulation
from tests.train.project import tiny_params

W = 4000
"""Bytes of the weights, in one gradient."""
STEP = [(0, 9000), (1, 700), (2, W), (1, -700), (3, 300), (3, -300), (0, -9000)]
"""An activation, a temporary, the gradient, a temporary in the optimiser's shadow."""
TRACE = StepTrace(STEP, frozenset({2}), W // 4, 1, buffer_bytes=0, input_bytes=10)


def _peak(stage: int, world: int, turns: int = 1, **train: Any) -> Any:
    params = tiny_params(**train).train
    return Estimate(TRACE, params, world, turns, None).peak(stage)


def test_weights_and_optimiser_by_stage() -> None:
    plain_and_own = 2 * W
    for stage, world, weights, optimizer in [
        (0, 1, plain_and_own, 2 * W),
        (0, 4, plain_and_own, 2 * W),
        (1, 1, plain_and_own, 3 * W),
        (1, 4, plain_and_own, 3 * W // 4),
        (2, 4, plain_and_own, 3 * W // 4),
        (3, 4, plain_and_own + W // 4, 3 * W // 4),
    ]:
        peak = _peak(stage, world)
        assert (peak.weights, peak.optimizer) == (weights, optimizer), (stage, world)
    assert _peak(1, 4, ema_decay=0.9).weights == plain_and_own + W


def test_gradients_at_the_fullest_moment_of_the_backward() -> None:
    def parts(stage: int, turns: int) -> tuple[int, int]:
        peak = _peak(stage, 4, turns)
        return peak.gradients, peak.activations

    full = 9000 + 700 + 10
    assert parts(0, 1) == (W, full)
    assert parts(1, 1) == (2 * W, full)
    assert parts(2, 1) == (W, full)
    assert parts(3, 1) == (W + W // 4, full)
    # With several micro-batches the earlier ones' gradients are there from the start.
    assert parts(0, 2) == (W, full + 10)
    assert parts(1, 2) == (2 * W, full + 10)
    assert parts(2, 2) == (W + W // 4, full + 10)


def test_micro_batch_that_is_advised_fits_and_can_be_dealt_out() -> None:
    params = tiny_params(batch=16, micro_batch=8, zero_stage=3)
    limit = 35_000

    def estimate_of(other: Any) -> Estimate:
        frames = other.train.micro_batch
        step = [(0, 9000 * frames), (2, W), (0, -9000 * frames)]
        trace = StepTrace(step, frozenset({2}), W // 4, 1, 0, 0)
        return Estimate(trace, other.train, 2, 16 // (2 * frames), None)

    told = fit.memory_problem(params, "nyu", estimate_of(params), limit, estimate_of)
    assert told is not None
    assert "train.micro_batch: 1 would fit" in told
    assert fit.memory_problem(params, "nyu", estimate_of(params), 10**6, estimate_of) is None


def test_image_size_is_advised_where_one_frame_is_too_much() -> None:
    params = tiny_params(batch=4, micro_batch=1, zero_stage=3)
    params = params.model_copy(
        update={"nyu": params.nyu.model_copy(update={"image_size": (256, 512)})}
    )

    def estimate_of(other: Any) -> Estimate:
        height, width = other.nyu.image_size
        trace = StepTrace([(0, height * width)], frozenset(), W // 4, 1, 0, 0)
        return Estimate(trace, other.train, 4, 1, None)

    told = fit.memory_problem(params, "nyu", estimate_of(params), 60_000, estimate_of)
    assert told is not None
    # 17000 bytes beside the activations, one byte a pixel.
    assert "nyu.image_size: [128, 288] would fit" in told


@pytest.mark.parametrize(("batch", "micro", "world"), [(12, 4, 2), (8, 4, 3), (6, 6, 6)])
def test_advice_on_division_divides(batch: int, micro: int, world: int) -> None:
    train = tiny_params(batch=batch, micro_batch=micro).train
    told = fit.division_problem(train, world)
    assert told is not None
    key, value = told.removesuffix(" works").rpartition("train.")[2].split(": ")
    advised = train.model_copy(update={key: int(value)})
    assert fit.division_problem(advised, world) is None
    assert accumulation(advised, world) >= 1


def test_checkpoints_that_fit_are_advised() -> None:
    full = Disk(checkpoint=100, kept=5, network=10, free=330)
    assert full.needed == 620
    told = fit.disk_problem(full)
    assert told is not None
    assert told.endswith("train.keep_checkpoints: 2")
    assert fit.disk_problem(Disk(100, 2, 10, 330)) is None
