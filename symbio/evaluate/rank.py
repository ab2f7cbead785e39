"""One rank of an evaluation: its share of the frames; the first rank writes what all found."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from symbio.data.classes import ADE20K, label_space, maps_sha256
from symbio.data.shards import INDEX, Shards
from symbio.errors import SymbioError
from symbio.evaluate.constant import best_constant_depths
from symbio.evaluate.evaluate import Evaluation, Rules, add_constant_classes, evaluate_by
from symbio.evaluate.examples import Source
from symbio.evaluate.parallel import one_thread_an_operation
from symbio.evaluate.predictors import Predictor, constant_predictor, network_predictor
from symbio.evaluate.protocol import Protocol
from symbio.evaluate.report import write_report
from symbio.files import whole_folder, write_json
from symbio.model.network import SymbioticNetwork, build_network
from symbio.model.saved import load_network, spoken
from symbio.progress import say
from symbio.ranks import group
from symbio.ranks.entry import be_a_rank
from symbio.ranks.place import Place
from symbio.ranks.sharing import ALONE, agreed, share_of_host
from symbio.ranks.stop import StopRequest

UNTRAINED_SEED = 0
"""Seed of the random weights that a trained network is compared with."""

_COUNTS = ("num_images_scored", "num_images_without_depth", "num_pixels")
"""Counts that are the same for every predictor."""
_BATCHES_ON_A_GPU = 4
"""Worked on at a time: while one is predicted, others are decoded and scored."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be evaluated."""

    root: Path
    """The project's folder."""
    dataset: str
    protocol: Protocol
    split: str
    model: Path
    """Folder of the network."""
    called: str
    """What messages call it."""
    metrics: Path
    """File to write."""
    report: Path
    """Folder to write."""
    flip: bool = False
    """Whether the answer to the mirrored view is averaged in (`network_predictor`)."""


def evaluate_rank(
    task: Task, place: Place = ALONE, device: torch.device | None = None
) -> dict[str, Any]:
    """As `evaluate_tasks`, of one task."""
    return evaluate_tasks([task], place, device)[0]


def evaluate_tasks(
    tasks: Sequence[Task], place: Place = ALONE, device: torch.device | None = None
) -> list[dict[str, Any]]:
    """Take part in an evaluation as one of its ranks, the process group being open.

    Args:
        tasks: the same on all ranks; of one network and one split, which is gone through once.
        place: which rank this is.
        device: where the network runs; None: the GPU, or the CPU where there is none.

    Returns:
        The content of each task's metrics file, the same on all ranks and for any number of them.

    Raises:
        SymbioError: something is missing or broken, on this rank or another.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with one_thread_an_operation() as threads:
        workers = threads if device.type == "cpu" else _BATCHES_ON_A_GPU
        return _evaluate(tasks, place, device, workers)


def main(tasks: Sequence[Task]) -> int:
    """Be the rank that the environment says; returns the exit code."""

    def work(place: Place, stop: StopRequest) -> int:
        # Nothing is half-written and there is no state to save: a signal just ends an evaluation.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        device = group.device_of(place)
        group.join(place, device)
        evaluate_tasks(tasks, place, device)
        return 0

    return be_a_rank(work)


def _evaluate(
    tasks: Sequence[Task], place: Place, device: torch.device, workers: int
) -> list[dict[str, Any]]:
    first = tasks[0]

    def opened() -> tuple[SymbioticNetwork, dict[str, Any], Source, list[str]]:
        network, card = load_network(first.model, device)
        return network, card, *open_split(first, card, share_of_host(place))

    network, card, source, keys = agreed(opened)
    max_depth_m = float(card["depth_range"][1])
    protocols = [task.protocol for task in tasks]
    constants = best_constant_depths(source.prepared, keys, protocols, place, device)
    untrained = _untrained(network).to(device)
    # One object for all tasks that ask alike, so that a frame is predicted once for them.
    networks = {
        flip: {
            "trained": network_predictor(network, flip),
            "untrained": network_predictor(untrained, flip),
        }
        for flip in {task.flip for task in tasks}
    }
    rules = [
        # Without any truth no constant is best, and none is scored.
        Rules(
            task.protocol, {**networks[task.flip], "constant": constant_predictor(m or max_depth_m)}
        )
        for task, m in zip(tasks, constants, strict=True)
    ]

    def scored() -> list[Evaluation]:
        return evaluate_by(rules, source, keys, max_depth_m, device, place, workers)

    results = agreed(scored)
    found = []
    for task, result, one, constant_m in zip(tasks, results, rules, constants, strict=True):
        result.gather(device)
        metrics = _metrics(result, task, card) | {"constant_depth_m": constant_m}
        if place.first:
            _write(task, result, metrics, one.predictors, device)
        found.append(metrics)
    return found


def _write(
    task: Task,
    result: Evaluation,
    metrics: dict[str, Any],
    predictors: Mapping[str, Predictor],
    device: torch.device,
) -> None:
    with whole_folder(task.report) as folder:
        write_report(folder, result, metrics, predictors["trained"], device)
    write_json(task.metrics, metrics)
    first = task.protocol.metrics[0]
    values = ", ".join(f"{kind} {_shown(metrics[kind][first])}" for kind in predictors)
    frames = f"{metrics['num_images']} frames of {task.split}"
    how = f"{task.protocol.name}{', with mirrored views' if task.flip else ''}"
    say(f"{task.metrics}: {how}, {frames}; {first}: {values}")


def _shown(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4f}"


def open_split(
    task: Task, card: Mapping[str, Any], share: tuple[int, int] = (0, 1)
) -> tuple[Source, list[str]]:
    """The frames of the task's split, and their keys.

    Args:
        task: whose frames.
        card: the network's.
        share: which shards this process hashes (`Shards`).

    Raises:
        SymbioError: the network is of another data set, or frames or pseudo-labels are missing.
    """
    root, dataset, split = task.root, task.dataset, task.split
    if card.get("dataset", dataset) != dataset:
        raise SymbioError(
            f"{task.called}: is a model of {card['dataset']!r}, not of {dataset!r}; "
            f"run `symbio train {dataset}`"
        )
    prepared = Shards(root / "data" / "prepared" / dataset, share)
    keys = prepared.splits.get(split, [])
    if not keys:
        raise SymbioError(
            f"{prepared.folder}: split {split!r} has no frames; there are "
            f"{', '.join(sorted(prepared.splits)) or 'none'}"
        )
    folder = root / "data" / "pseudo" / dataset
    pseudo = Shards(folder, share) if (folder / INDEX).is_file() else None
    missing = [key for key in keys if pseudo is not None and key not in pseudo]
    if missing:
        raise SymbioError(
            f"{folder}: no pseudo-label for {len(missing)} frames of split {split!r}, first "
            f"{missing[0]!r}; run `symbio label {dataset}`"
        )
    height, width = card["image_size"]
    classes = spoken(card)
    predicted = ADE20K if classes is None else classes.name
    space = label_space(prepared.header["label_space"], predicted)
    return Source(prepared, pseudo, space, (height, width)), keys


def _untrained(network: SymbioticNetwork) -> SymbioticNetwork:
    """The same network with random weights, the encoder's included: nothing is fetched."""
    low, high = network.depth_range
    params = network.params.model_copy(update={"pretrained": False})
    untrained = build_network(
        params, network.image_size, high, low, network.num_classes, UNTRAINED_SEED
    )
    untrained.says_classes = network.says_classes
    return untrained


def _metrics(result: Evaluation, task: Task, card: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics file: what was measured, and each predictor's numbers; no number is null."""
    prepared = result.source.prepared
    classes = add_constant_classes(result, "constant", "trained")
    summary = result.summary()
    counts = {key: int(summary["trained"][key]) for key in _COUNTS}
    return {
        "dataset": task.dataset,
        "protocol": result.protocol.name,
        "aggregation": result.protocol.aggregation,
        "flip": task.flip,
        "split": task.split,
        "split_sha256": prepared.split_sha256(task.split),
        "data_sha256": prepared.digest(),
        "weights_sha256": card["weights_sha256"],
        "label_space": result.source.space.name,
        "maps_sha256": maps_sha256(),
        "num_images": len(prepared.splits[task.split]),
        **counts,
        "num_pixels_unpredicted": result.num_pixels_unpredicted,
        **{f"constant_{kind}_class": label for kind, label in classes.items()},
        **{name: _finite(values) for name, values in summary.items()},
    }


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN and no infinity: null, which `Metric.better` never takes for good."""
    return {
        key: value if math.isfinite(value) else None
        for key, value in values.items()
        if key not in _COUNTS
    }
