"""Putting a trained and evaluated network into the model registry."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of
from symbio.model.saved import CARD, WEIGHTS
from symbio.register.card import Facts, card_page, card_text, description_of
from symbio.register.intervals import intervals_of
from symbio.register.package import examine, write_package
from symbio.tracking.fetched import MANIFEST_TAG
from symbio.tracking.models import (
    Version,
    find_version,
    logging_package,
    point_alias,
    register_version,
    registering,
)
from symbio.tracking.scores import METRICS_TAG, PER_IMAGE, PICTURES, metrics_sha256
from symbio.tracking.store import experiment_name
from symbio.tracking.training import WEIGHTS_TAG

CANDIDATE = "candidate"
"""Alias of the newest version; `promote` moves another one."""

MODEL_CARD, MODEL_PAGE = "MODEL_CARD.md", "MODEL_CARD.html"

ONNX_TAG = "symbio.onnx"


def register(
    dataset: str,
    root: Path,
    run_id: str,
    lineage: Mapping[str, str],
) -> Version:
    """Register `models/{dataset}` with the scores of `metrics/{dataset}.json`.

    The same weights with the same scores are registered once: the version that exists is
    returned. A new version becomes the candidate.

    Args:
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        run_id: the store's run that the model is logged under.
        lineage: tags for the version.

    Raises:
        SymbioError: model or metrics are missing, the weights are not the saved ones, or the
            metrics are those of another model.
    """
    card, metrics = read_result(dataset, root)
    name = experiment_name(dataset)
    identity = {
        WEIGHTS_TAG: str(card["weights_sha256"]),
        METRICS_TAG: metrics_sha256(metrics),
    }
    with registering(root, name):
        version = find_version(root, name, identity)
        if version is None:
            with tempfile.TemporaryDirectory(prefix="symbio-package-") as temporary:
                network = Path(temporary) / "network"
                facts = _network_with_card(network, root, name, card, metrics, lineage)
                package = Path(temporary) / "package"
                with logging_package(root, run_id, package) as described:
                    manifest = write_package(package, described, network, facts)
            tags = {**lineage, **_score_tags(metrics), **identity}
            tags |= {MANIFEST_TAG: manifest, ONNX_TAG: facts.onnx}
            source = f"models:/{described.model_id}"
            text = description_of(facts)
            version = register_version(root, name, source, run_id, tags, text)
        if version.version == newest(root, name):
            point_alias(root, name, CANDIDATE, version.version)
    return version


def read_result(dataset: str, root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """model.json and metrics of a trained and evaluated network, checked against each other.

    Raises:
        SymbioError: as `register`.
    """
    folder, metrics_file = root / "models" / dataset, root / "metrics" / f"{dataset}.json"
    card = read_json(folder / CARD, f"trained network; run `symbio train {dataset}`")
    metrics = read_json(metrics_file, f"its scores; run `symbio evaluate {dataset}`")
    if not (folder / WEIGHTS).is_file() or sha256_of(folder / WEIGHTS) != card["weights_sha256"]:
        raise SymbioError(
            f"{folder / WEIGHTS}: is not the file that {CARD} was written with; restore it with "
            f"`dvc checkout {folder}`, or train again"
        )
    if metrics.get("weights_sha256") != card["weights_sha256"]:
        raise SymbioError(
            f"{metrics_file}: are the scores of another model than {folder}; "
            f"run `symbio evaluate {dataset}`"
        )
    return card, metrics


def newest(root: Path, name: str) -> str | None:
    """The highest version of a registered model."""
    version = find_version(root, name, {})
    return None if version is None else version.version


def _score_tags(metrics: Mapping[str, Any]) -> dict[str, str]:
    """What was measured and how; the names of scores are those of the metrics file."""
    kept = ("protocol", "aggregation", "split", "split_sha256", "data_sha256", "num_images")
    tags = {f"symbio.{key}": str(metrics[key]) for key in kept if metrics.get(key) is not None}
    for key, value in metrics["trained"].items():
        if value is not None:
            tags[f"metric.{key}"] = f"{value:.6g}"
    return tags


def _network_with_card(
    folder: Path,
    root: Path,
    name: str,
    card: Mapping[str, Any],
    metrics: Mapping[str, Any],
    lineage: Mapping[str, str],
) -> Facts:
    """Examine the network, and put it into `folder` with its ONNX graph and its card."""
    dataset = str(card["dataset"])
    model, report = root / "models" / dataset, root / "reports" / dataset
    folder.mkdir()
    examined = examine(model, folder)
    shutil.copyfile(model / WEIGHTS, folder / WEIGHTS)
    shutil.copyfile(model / CARD, folder / CARD)
    facts = Facts(
        name=name,
        card=card,
        metrics=metrics,
        lineage=lineage,
        measured=examined.measured,
        onnx=examined.onnx,
        intervals=intervals_of(report / PER_IMAGE, metrics),
    )
    (folder / MODEL_CARD).write_text(card_text(facts), encoding="utf-8")
    (folder / MODEL_PAGE).write_text(card_page(facts, report / PICTURES), encoding="utf-8")
    return facts
