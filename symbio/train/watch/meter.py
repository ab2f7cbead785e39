"""Speed, memory and use of the hardware: as metrics for the journal, as text for people."""

from __future__ import annotations

import torch
from torch import nn

from symbio.params import Params
from symbio.train.watch.clock import COMMUNICATION, PARTS, StepClock
from symbio.train.watch.device import bytes_peak, device_name, peak_flops

_FORWARDS_A_STEP = 3
"""A backward costs about two forwards; what is recomputed to save memory is no useful work."""
_SHORT = {"forward": "fwd", "backward": "bwd", "optimizer": "opt", COMMUNICATION: "comm"}


class Meter:
    """What rank 0 tells of a run's cost."""

    def __init__(
        self, clock: StepClock, device: torch.device, flops_a_frame: int, peak_flops: float | None
    ) -> None:
        """Measure by `clock` on `device`.

        Args:
            clock: of the rank's steps.
            device: of the network.
            flops_a_frame: of a forward; counts only with a peak.
            peak_flops: FLOP/s of the devices of all ranks together; None: not known, no MFU.
        """
        self._clock, self._device = clock, device
        self._flops_a_frame, self._peak_flops = flops_a_frame, peak_flops

    def metrics(self, frames_per_s: float) -> dict[str, float]:
        """time/step_s, time/data_s ... (seconds, means of ten steps), memory/peak_gib, train/mfu.

        Args:
            frames_per_s: of the global batch.
        """
        values = {f"time/{name}_s": seconds for name, seconds in self._clock.recent().items()}
        values["memory/peak_gib"] = bytes_peak(self._device) / 2**30
        if self._peak_flops is not None:
            used = _FORWARDS_A_STEP * self._flops_a_frame * frames_per_s
            values["train/mfu"] = used / self._peak_flops
        return values


def open_meter(
    params: Params,
    dataset: str,
    network: nn.Module,
    world: int,
    device: torch.device,
    clock: StepClock,
) -> Meter:
    """The meter of a run on `world` devices like this one; `network` is not yet in an engine."""
    peak = peak_flops(device_name(device), params.train.precision)
    if peak is None:
        return Meter(clock, device, 0, None)
    from symbio.model.cost import flops_a_frame

    size = params.train.augment.crop or params.dataset(dataset).image_size
    return Meter(clock, device, flops_a_frame(network, size), peak * world)


def told(metrics: dict[str, float]) -> str:
    """The same in a few words: the parts in percent of the step, memory, MFU."""
    words = []
    step_s = metrics.get("time/step_s", 0.0)
    if step_s > 0:
        shares = " ".join(
            f"{_SHORT.get(part, part)} {100 * metrics[f'time/{part}_s'] / step_s:.0f}"
            for part in PARTS
        )
        words.append(f"({shares} %)")
    words.append(f"{metrics['memory/peak_gib']:.2f} GiB")
    if "train/mfu" in metrics:
        words.append(f"MFU {100 * metrics['train/mfu']:.0f} %")
    return "  ".join(words)
