"""The plan of a run as one object."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from symbio.plan.budget import Disk, Duration
from symbio.plan.memory import Peak
from symbio.plan.stages import StageWork


@dataclass(frozen=True)
class Plan:
    """Everything that is told before a run; what could not be told is None."""

    dataset: str
    device: str
    hosts: int
    ranks: int
    """Of all hosts together."""
    batch: int
    micro_batch: int
    accumulation: int
    zero_stage: int
    size: tuple[int, int]
    """(H, W) of a training frame, pixels."""
    stages: list[StageWork]
    stages_unknown: str | None
    """Why DVC did not say which stages will run."""
    num_parameters: int | None
    flops_a_frame: int | None
    """Of the forward."""
    peaks: list[Peak]
    """By ZeRO stage."""
    limit: int
    """Bytes that a rank may take."""
    cuda_context: int
    """Bytes beside, on a GPU."""
    measured: dict[str, Any] | None
    """The last run of this shape on this kind of device, with as many ranks."""
    steps: int
    epochs: float | None
    disk: Disk | None
    duration: Duration | None
    duration_unknown: str
    """Why not, if there is none."""
    cost: float | None
    problems: list[str] = field(default_factory=list)

    @property
    def peak(self) -> Peak | None:
        """Under the ZeRO stage of the params."""
        return self.peaks[self.zero_stage] if self.peaks else None

    @property
    def training_s(self) -> float | None:
        """Seconds of training."""
        return None if self.duration is None else self.duration.step_s * self.steps

    def to_json(self) -> dict[str, Any]:
        """For programs: bytes, seconds, FLOPs."""
        content = asdict(self)
        for peak, found in zip(content["peaks"], self.peaks, strict=True):
            peak["total"] = found.total
        if self.disk is not None:
            content["disk"]["needed"] = self.disk.needed
        return content | {"training_s": self.training_s}
