"""The stage `evaluate`: models/{d} and data/ in, metrics/{d}.json and reports/{d}/ out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from symbio.data.classes import label_space, maps_sha256
from symbio.data.shards import INDEX, Shards
from symbio.errors import SymbioError
from symbio.evaluate.constant import best_constant_depth
from symbio.evaluate.evaluate import Evaluation, add_constant_classes, evaluate
from symbio.evaluate.examples import Source
from symbio.evaluate.predictors import constant_predictor, network_predictor
from symbio.evaluate.protocol import protocol_named
from symbio.evaluate.report import write_report
from symbio.files import whole_folder, write_json
from symbio.model.network import SymbioticNetwork, build_network
from symbio.model.saved import load_network
from symbio.params import Params
from symbio.progress import say

UNTRAINED_SEED = 0
"""Seed of the random weights that a trained network is compared with."""

_COUNTS = ("num_images_scored", "num_images_without_depth", "num_pixels")
"""Counts that are the same for every predictor."""


def run(
    params: Params,
    dataset: str,
    root: Path = Path("."),
    protocol: str | None = None,
    split: str = "test",
) -> dict[str, Any]:
    """Evaluate the trained model of a data set.

    The pipeline's own result (the params' protocol on the test split) is `metrics/{d}.json` and
    `reports/{d}/`; any other goes beside it, as `{d}-{split}-{protocol}`, and replaces nothing.

    Args:
        params: of the experiment; the network's own size and depth range come from its card.
        dataset: "nyu" or "kitti".
        root: the project's folder.
        protocol: another protocol than the params' own.
        split: "test", "val" or "train".

    Returns:
        The content of the metrics file.

    Raises:
        SymbioError: something is missing or broken, the model is of another data set, or the
            protocol is unknown or not defined on these frames.
    """
    usual = params.dataset(dataset).protocol
    rules = protocol_named(protocol or usual)
    name = dataset if (rules.name, split) == (usual, "test") else f"{dataset}-{split}-{rules.name}"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, card = load_network(root / "models" / dataset, device)
    source, keys = _open(root, dataset, split, card)
    max_depth_m = float(card["depth_range"][1])

    constant_m = best_constant_depth(source.prepared, keys, rules)
    predictors = {
        "trained": network_predictor(network),
        "untrained": network_predictor(_untrained(network).to(device)),
        # Without any truth no constant is best, and none is scored.
        "constant": constant_predictor(constant_m or max_depth_m),
    }
    result = evaluate(predictors, source, keys, rules, max_depth_m, device)
    metrics = _metrics(result, dataset, split, card) | {"constant_depth_m": constant_m}

    with whole_folder(root / "reports" / name) as folder:
        write_report(folder, result, metrics, predictors["trained"], max_depth_m, device)
    path = root / "metrics" / f"{name}.json"
    write_json(path, metrics)
    first = rules.metrics[0]
    values = ", ".join(f"{kind} {_shown(metrics[kind][first])}" for kind in predictors)
    say(f"{path}: {rules.name}, {len(keys)} frames of {split}; {first}: {values}")
    return metrics


def _shown(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4f}"


def _open(
    root: Path, dataset: str, split: str, card: Mapping[str, Any]
) -> tuple[Source, list[str]]:
    if card.get("dataset", dataset) != dataset:
        raise SymbioError(
            f"{root / 'models' / dataset}: is a model of {card['dataset']!r}, not of {dataset!r}; "
            f"run `symbio train {dataset}`"
        )
    prepared = Shards(root / "data" / "prepared" / dataset)
    keys = prepared.splits.get(split, [])
    if not keys:
        raise SymbioError(
            f"{prepared.folder}: split {split!r} has no frames; there are "
            f"{', '.join(sorted(prepared.splits)) or 'none'}"
        )
    folder = root / "data" / "pseudo" / dataset
    pseudo = Shards(folder) if (folder / INDEX).is_file() else None
    missing = [key for key in keys if pseudo is not None and key not in pseudo]
    if missing:
        raise SymbioError(
            f"{folder}: no pseudo-label for {len(missing)} frames of split {split!r}, first "
            f"{missing[0]!r}; run `symbio label {dataset}`"
        )
    height, width = card["image_size"]
    space = label_space(prepared.header["label_space"])
    return Source(prepared, pseudo, space, (height, width)), keys


def _untrained(network: SymbioticNetwork) -> SymbioticNetwork:
    """The same network with random weights, the encoder's included: nothing is fetched."""
    low, high = network.depth_range
    params = network.params.model_copy(update={"pretrained": False})
    return build_network(params, network.image_size, high, low, network.num_classes, UNTRAINED_SEED)


def _metrics(
    result: Evaluation, dataset: str, split: str, card: Mapping[str, Any]
) -> dict[str, Any]:
    """The metrics file: what was measured, and each predictor's numbers; no number is null."""
    prepared = result.source.prepared
    classes = add_constant_classes(result, "constant", "trained")
    summary = result.summary()
    counts = {key: int(summary["trained"][key]) for key in _COUNTS}
    return {
        "dataset": dataset,
        "protocol": result.protocol.name,
        "aggregation": result.protocol.aggregation,
        "split": split,
        "split_sha256": prepared.split_sha256(split),
        "data_sha256": prepared.digest(),
        "weights_sha256": card["weights_sha256"],
        "label_space": result.source.space.name,
        "maps_sha256": maps_sha256(),
        "num_images": len(prepared.splits[split]),
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
