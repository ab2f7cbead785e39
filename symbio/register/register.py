"""Putting a trained and evaluated network into the model registry."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, sha256_of
from symbio.model.saved import CARD, WEIGHTS, spoken
from symbio.register.card import model_card, summary
from symbio.register.code import copy_code, requirements
from symbio.tracking.models import (
    Version,
    find_version,
    log_pyfunc,
    point_alias,
    register_version,
    registering,
)
from symbio.tracking.scores import METRICS_TAG, WEIGHTS_TAG, metrics_sha256
from symbio.tracking.store import experiment_name

CANDIDATE = "candidate"
"""Alias of the newest version; `promote` moves another one."""

MODEL_CARD = "MODEL_CARD.md"

_SERVED = Path(__file__).with_name("served.py")
_EXAMPLE_SIZE = (24, 32)


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
        dataset: "nyu" or "kitti".
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
            tags = {**lineage, **_score_tags(metrics), **identity}
            text = model_card(name, card, metrics, lineage)
            source = _log(root, run_id, root / "models" / dataset, card, text)
            version = register_version(root, name, source, run_id, tags, summary(card, metrics))
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


def _log(root: Path, run_id: str, model: Path, card: Mapping[str, Any], text: str) -> str:
    """Package the network and log it; its `models:/` address."""
    import numpy as np

    height, width = _EXAMPLE_SIZE
    classes = spoken(card)
    with tempfile.TemporaryDirectory(prefix="symbio-package-") as temporary:
        network = Path(temporary) / "network"
        network.mkdir()
        shutil.copyfile(model / WEIGHTS, network / WEIGHTS)
        shutil.copyfile(model / CARD, network / CARD)
        (network / MODEL_CARD).write_text(text, encoding="utf-8")
        return log_pyfunc(
            root,
            run_id,
            python_model=str(_SERVED),
            artifacts={"network": str(network)},
            code_paths=[str(copy_code(Path(temporary)))],
            signature=_signature(classes is not None),
            input_example=np.zeros((1, height, width, 3), np.uint8),
            # Named, so that MLflow does not start a process to find them out (7 s).
            pip_requirements=requirements(),
            metadata={
                "dataset": card["dataset"],
                "weights_sha256": card["weights_sha256"],
                "classes": [] if classes is None else list(classes.names),
            },
        )


def _signature(semantics: bool) -> Any:
    """uint8 pictures of any number and size in, depth (and classes) of that size out."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    out = [TensorSpec(np.dtype(np.float32), (-1, -1, -1), name="depth")]
    if semantics:
        out.append(TensorSpec(np.dtype(np.uint8), (-1, -1, -1), name="semantic"))
    pictures = TensorSpec(np.dtype(np.uint8), (-1, -1, -1, 3))
    return ModelSignature(inputs=Schema([pictures]), outputs=Schema(out))
