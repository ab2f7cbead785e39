"""The trace without numbers takes the memory that torch's allocator sees in a real step."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from symbio.model.network import build_network
from symbio.params import Params
from symbio.plan.trace import trace_step
from symbio.train.objective import Objective
from tests.train.project import tiny_params

CPU = torch.device("cpu")


def _peak(changes: list[int]) -> int:
    return max(itertools.accumulate(changes))


def _allocator_peak(params: Params) -> int:
    """Bytes of the CPU allocator at the fullest moment of a real forward and backward."""
    section = params.nyu
    low, high = section.depth_range
    network = build_network(params.model, section.image_size, high, low)
    objective = Objective(network, params.train, (low, high), torch.ones(150)).train()
    frames = (params.train.micro_batch, *section.image_size)
    image = torch.randint(256, (frames[0], 3, *frames[1:]), dtype=torch.uint8)
    label = torch.randint(150, frames, dtype=torch.uint8)
    depth, confidence = torch.ones(frames), torch.full(frames, 255, dtype=torch.uint8)
    # What is made on first use and kept is no part of a step.
    objective(image, depth, label, confidence)
    activities = [ProfilerActivity.CPU]
    with profile(activities=activities, profile_memory=True, acc_events=True) as profiled:
        objective(image, depth, label, confidence).total.backward()
    kineto = profiled.profiler.kineto_results  # type: ignore[union-attr]
    events = [event for event in kineto.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return _peak([event.nbytes() for event in events])


@pytest.mark.parametrize(
    ("encoder", "crop"), [("test_maxvit", (64, 64)), ("test_resnet", (96, 64))]
)
def test_peak_is_the_allocators(encoder: str, crop: tuple[int, int]) -> None:
    params = tiny_params(micro_batch=2, model={"encoder": encoder})
    params = params.model_copy(update={"nyu": params.nyu.model_copy(update={"image_size": crop})})
    traced = trace_step(params, "nyu", CPU)
    real = _allocator_peak(params)
    # Beyond the storages: workspaces inside operations, which torch takes without saying.
    assert _peak([change for _, change in traced.changes]) == pytest.approx(real, rel=0.03)


def test_what_is_left_after_a_backward_are_the_gradients() -> None:
    traced = trace_step(tiny_params(), "nyu", CPU)
    left: dict[int, int] = {}
    for number, change in traced.changes:
        left[number] = left.get(number, 0) + change
    held = {number: size for number, size in left.items() if size}
    gradients = sum(held[number] for number in traced.gradients)
    exact = 4 * traced.num_parameters
    assert exact <= gradients < exact + 64 * len(traced.gradients)
    assert sum(held.values()) - gradients < 4096


def test_more_frames_take_more_and_bf16_less() -> None:
    def peak(**train: object) -> int:
        return _peak([change for _, change in trace_step(tiny_params(**train), "nyu", CPU).changes])

    one, two, four = (peak(micro_batch=count, batch=4) for count in (1, 2, 4))
    assert four - two == pytest.approx(2 * (two - one), rel=0.05)
    assert peak(micro_batch=4, batch=4, precision="bf16") < 0.8 * four


def test_a_crop_counts_and_not_the_frame() -> None:
    augment = {"flip": 0.5, "colour": 0.5, "brightness": [0.8, 1.2], "crop": [32, 32]}
    model = {"encoder": "test_resnet"}
    whole = trace_step(tiny_params(model=model), "nyu", CPU)
    cropped = trace_step(tiny_params(model=model, augment=augment), "nyu", CPU)
    assert cropped.input_bytes == whole.input_bytes // 4
    assert cropped.flops_a_frame < 0.3 * whole.flops_a_frame
