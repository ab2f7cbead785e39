"""What each costs: to train, to store, to use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from symbio.compare.network import Looked
from symbio.compare.subject import Subject
from symbio.tracking import fetch_model
from symbio.tracking.record import FINISHED

_MLMODEL = "MLmodel"
_TRAINED = "train"


@dataclass(frozen=True, slots=True)
class Cost:
    """One kind of cost of all."""

    what: str
    unit: str
    values: list[float | str | None]
    """Of each subject; None: not known."""


def measured_at_registration(root: Path, subject: Subject, into: Path) -> dict[str, Any]:
    """Seconds and memory as the registered package tells them; empty where it does not.

    Raises:
        SymbioError: the package is not what was registered; the store refuses, or is away.
    """
    if subject.version is None:
        return {}
    package = fetch_model(subject.version.uri, root, into, {_MLMODEL}.__contains__)
    told = yaml.safe_load((package / _MLMODEL).read_text(encoding="utf-8"))
    return ((told or {}).get("metadata") or {}).get("measured") or {}


def costs(
    subjects: Sequence[Subject],
    looked: Sequence[Looked | None],
    using: Sequence[dict[str, Any]],
) -> list[Cost]:
    """What is known of at least one of them.

    Args:
        subjects: what is compared.
        looked: of each: what its network told, where there was one.
        using: of each: what was measured when it was registered.
    """
    rows = [
        Cost("parameters", "M", [_of(one, lambda net: net.parameters / 1e6) for one in looked]),
        Cost(
            "multiply-adds of a frame",
            "G",
            [_of(one, lambda net: net.multiply_adds / 1e9) for one in looked],
        ),
        Cost("size that the network sees", "pixels", [_of(one, _size) for one in looked]),
        Cost("training, from start to end", "min", [_minutes(one) for one in subjects]),
        Cost("steps", "", [one.trained.params.get("train.steps") for one in subjects]),
        Cost("ranks", "", [one.trained.tags.get("symbio.ranks") for one in subjects]),
        Cost("trained on", "", [one.trained.tags.get("symbio.devices") for one in subjects]),
        Cost("used on", "", [_used_on(one) for one in using]),
        Cost("loading", "s", [one.get("load_s") for one in using]),
        *_latencies(using),
        Cost("memory at most", "MiB", [one.get("peak_rss_mib") for one in using]),
        Cost("GPU memory at most", "MiB", [one.get("peak_gpu_mib") for one in using]),
    ]
    return [row for row in rows if any(value is not None for value in row.values)]


def _latencies(using: Sequence[dict[str, Any]]) -> list[Cost]:
    """A picture's milliseconds, for each size of pictures and number of them at a time."""
    cases = dict.fromkeys(
        (size, at_once)
        for one in using
        for size, batches in one.get("picture_ms", {}).items()
        for at_once in batches
    )
    return [
        Cost(
            f"a picture of {size}, {at_once} at a time",
            "ms",
            [
                one.get("picture_ms", {}).get(size, {}).get(at_once, {}).get("median")
                for one in using
            ],
        )
        for size, at_once in cases
    ]


def _of(looked: Looked | None, what: Callable[[Looked], float | str]) -> float | str | None:
    return None if looked is None else what(looked)


def _size(looked: Looked) -> str:
    height, width = looked.image_size
    return f"{width}x{height}"


def _minutes(subject: Subject) -> float | None:
    """Of a training that came to its end; what stopped in between counts."""
    run = subject.trained
    ended = run.tags.get("symbio.stage") == _TRAINED and run.status == FINISHED
    return run.seconds / 60 if ended and run.seconds is not None else None


def _used_on(using: dict[str, Any]) -> str | None:
    return f"{using['device']}, threads: {using['threads']}" if using else None
