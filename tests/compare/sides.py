"""Subjects and measurements made by hand."""

from __future__ import annotations

from typing import Any

from symbio.compare.measured import Measured
from symbio.compare.subject import Subject
from symbio.evaluate.paired import Frames
from symbio.tracking.measurements import Measurement, RunFacts

MEASURED = {
    "dataset": "nyu",
    "protocol": "nyu-eigen",
    "aggregation": "per-image",
    "split": "test",
    "split_sha256": "5" * 64,
    "data_sha256": "d" * 64,
    "num_images": 3,
    "label_space": "nyu40",
    "maps_sha256": "m" * 64,
    "weights_sha256": "w" * 64,
}


def subject(name: str, *metrics: dict[str, Any], dataset: str = "nyu", **facts: Any) -> Subject:
    """A run that holds measurements, the newest first."""
    known: dict[str, Any] = {"status": "FINISHED", "seconds": 60.0, "tags": {}, "params": {}}
    run = RunFacts(run_id=name, name=f"train-{name}", **{**known, **facts})
    found = [Measurement(name, {**MEASURED, **one}, "scores/0") for one in metrics]
    return Subject(f"runs:/{name}", name, f"run-{name}", dataset, None, run, found)


def measured(values: dict[str, list[float]], **others: Any) -> Measured:
    """Metrics that are means over frames, and their table; the last frame has no depth."""
    count = len(next(iter(values.values())))
    frames: Frames = {
        f"frame-{n}": {"pixels": "100", **{f"trained_{k}": repr(v[n]) for k, v in values.items()}}
        for n in range(count)
    } | {"frame-empty": {"pixels": "0", **{f"trained_{k}": "nan" for k in values}}}
    trained = {name: sum(one) / count for name, one in values.items()}
    metrics = {**MEASURED, "trained": {**trained, **others.pop("trained", {})}}
    known = {"frames": frames, "iou": None, "ranges": None, "pictures": {}}
    return Measured(metrics, **{**known, **others})
