"""Where a step's time goes, against sleeps of known length and a rank that is known to be slow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from symbio.ranks.place import Place
from symbio.train.records.journal import read_journal
from symbio.train.records.measured import Measurement, append_measurement
from symbio.train.watch.clock import PARTS, StepClock
from symbio.train.watch.device import bytes_now, bytes_peak, device_name, peak_flops
from symbio.train.watch.meter import Meter, told
from tests.train.faults import _before_step
from tests.train.project import make_project, tiny_params
from tests.train.ranks import train_on, trained

CPU = torch.device("cpu")


class Pending:
    """An asynchronous collective that takes 20 ms to wait for."""

    def wait(self) -> str:
        time.sleep(0.02)
        return "done"

    def is_completed(self) -> bool:
        return False


class Backend:
    """Collectives of known length."""

    def all_reduce(self, tensor: Any, async_op: bool = False) -> Pending | None:
        if async_op:
            return Pending()
        time.sleep(0.03)
        self.barrier()
        return None

    def barrier(self) -> None:
        time.sleep(0.01)


def a_step(clock: StepClock, backend: Any) -> None:
    clock.start()
    time.sleep(0.01)
    clock.enter("forward")
    time.sleep(0.02)
    clock.enter("backward")
    time.sleep(0.02)
    backend.all_reduce(None)
    pending = backend.all_reduce(None, async_op=True)
    time.sleep(0.01)
    assert pending.wait() == "done"
    assert not pending.is_completed()
    clock.leave()
    time.sleep(0.05)  # a checkpoint, say
    clock.enter("optimizer")
    time.sleep(0.01)
    clock.stop()


def test_the_parts_are_what_was_slept_and_sum_to_the_step() -> None:
    beats: list[str] = []
    clock, backend = StepClock(CPU, beats.append), Backend()
    clock.listen_to(backend)
    backend.barrier()  # outside of a step: not counted
    assert clock.recent() == {}
    for _ in range(3):
        a_step(clock, backend)
    found = clock.recent()
    slept = {"data": 10, "forward": 20, "backward": 30, "optimizer": 10, "communication": 60}
    for part in PARTS:
        assert found[part] == pytest.approx(slept[part] / 1000, rel=0.3, abs=0.004), part
    assert found["step"] == pytest.approx(sum(found[part] for part in PARTS))
    assert clock.median_step_s() == pytest.approx(found["step"], rel=0.3)
    assert clock.steps == 3
    assert beats[:4] == ["data", "forward", "backward", "optimizer"]


def test_timing_a_step_costs_less_than_a_hundredth_of_150_ms() -> None:
    clock = StepClock(CPU, lambda part: None)
    quick = Backend()
    quick.barrier = lambda: None  # type: ignore[method-assign]
    clock.listen_to(quick)
    start, steps = time.perf_counter(), 200
    for _ in range(steps):
        clock.start()
        for _ in range(4):  # micro-batches
            clock.enter("forward")
            clock.enter("backward")
            for _ in range(10):
                quick.barrier()
        clock.enter("optimizer")
        clock.stop()
        clock.recent()
    assert (time.perf_counter() - start) / steps < 0.01 * 0.150


def slow_data(place: Place, rank: int, seconds: float) -> None:
    if place.rank == rank:
        _before_step(lambda step: time.sleep(seconds))


@pytest.mark.slow
def test_waiting_for_a_slower_rank_is_communication(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    trained(train_on(2, tiny_params(steps=6), root, "auto", slow_data, 1, 0.4))
    records = [r["metrics"] for r in read_journal(root / "checkpoints" / "nyu")]
    last = next(r for r in reversed(records) if "time/step_s" in r)
    assert last["time/communication_s"] > 0.3
    assert last["time/data_s"] < 0.2
    parts = sum(last[f"time/{part}_s"] for part in PARTS)
    assert parts == pytest.approx(last["time/step_s"])
    assert last["time/step_s"] > 0.4
    assert 0 < last["memory/peak_gib"] < 64
    assert "train/mfu" not in last
    lines = (root / "checkpoints" / "measured" / "nyu.jsonl").read_text().splitlines()
    assert len(lines) == 1
    assert '"ranks": 2' in lines[0]


def test_mfu_is_three_forwards_a_frame_over_what_the_devices_could_do() -> None:
    meter = Meter(StepClock(CPU, lambda part: None), CPU, int(2e9), peak_flops=4e12)
    found = meter.metrics(frames_per_s=100.0)
    assert found["train/mfu"] == pytest.approx(3 * 2e9 * 100 / 4e12)
    assert told(found).endswith("MFU 15 %")


@pytest.mark.parametrize(
    ("name", "bf16"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA A10G", None),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("cpu: AMD EPYC", None),
    ],
)
def test_peaks_are_those_of_the_very_device(name: str, bf16: float | None) -> None:
    assert peak_flops(name, "bf16") == bf16


def test_fp32_runs_are_held_against_tf32_where_convolutions_may_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert peak_flops("NVIDIA A100-SXM4-40GB", "fp32") == 156e12
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    assert peak_flops("NVIDIA A100-SXM4-40GB", "fp32") == 19.5e12


def test_memory_and_device_of_this_process() -> None:
    before = bytes_now(CPU)
    held = torch.ones(64 * 2**20, dtype=torch.uint8)
    assert bytes_now(CPU) - before == pytest.approx(64 * 2**20, rel=0.1)
    del held
    assert bytes_peak(CPU) >= before + 60 * 2**20
    assert device_name(CPU).startswith("cpu: ")


def test_measurements_are_appended_as_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "measured" / "nyu.jsonl"
    one = Measurement("f", "s", 2, "cpu", 5, 3, 0.1, 80.0, None, None, 9)
    append_measurement(path, one)
    path.write_text(path.read_text() + '{"torn')
    append_measurement(path, one)
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].partition("fingerprint")[2] == lines[2].partition("fingerprint")[2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_the_parts_are_what_the_stream_took() -> None:
    device = torch.device("cuda", 0)
    clock = StepClock(device, lambda part: None)
    matrix = torch.randn(4096, 4096, device=device)
    matrix @ matrix
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(5):
        clock.start()
        time.sleep(0.02)
        clock.enter("forward")
        for _ in range(20):
            matrix @ matrix
        clock.stop()
        torch.cuda.synchronize()
    spent = (time.perf_counter() - start) / 5
    clock.start()
    clock.stop()
    found = clock.recent()
    assert found["data"] == pytest.approx(0.02, rel=0.3)
    assert found["step"] == pytest.approx(spent, rel=0.2)
    assert bytes_peak(device) >= matrix.nbytes
