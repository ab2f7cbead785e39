"""Registered versions and what is known of them, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.data.shards import INDEX
from symbio.files import read_json, sha256_of
from symbio.tracking.measurements import run_facts
from symbio.tracking.models import Version, aliases_of, versions_of
from symbio.tracking.scores import every_score_of
from symbio.tracking.store import experiment_name


@dataclass(frozen=True, slots=True)
class Measured:
    """One version by one protocol."""

    called: str
    """Its number and aliases."""
    metrics: dict[str, Any]
    """As in metrics/{d}.json; of the test split."""
    trained_on: str
    """Which frames, in words."""
    rendered: bool
    """Whether they are the sample's, which are pictures of no real scene."""


def measured_versions(root: Path, dataset: str) -> list[Measured]:
    """Every version's newest scores on the test split by each protocol, oldest version first.

    Raises:
        SymbioError: scores in the store are not those that were put there.
        What MLflow raises when the store is away.
    """
    name = experiment_name(dataset)
    aliases = aliases_of(root, name)
    found = []
    for version in sorted(versions_of(root, name), key=lambda one: int(one.version)):
        also = [f"@{alias}" for alias, number in aliases.items() if number == version.version]
        called = " ".join([f"symbio-{dataset} {version.version}", *sorted(also)])
        newest: dict[tuple[str, bool], dict[str, Any]] = {}
        for scores in every_score_of(root, version):
            metrics = scores.metrics
            if metrics["split"] == "test":
                kind = (str(metrics["protocol"]), bool(metrics.get("flip")))
                newest.setdefault(kind, metrics)
        if newest:
            raw = _raw(run_facts(root, version.run_id).params, dataset)
            rendered = raw == f"data/sample/{dataset}"
            words = "the rendered sample" if rendered else raw
            trained_on = f"{words}{_how_many(root, dataset, version)}"
            found += [Measured(called, one, trained_on, rendered) for one in newest.values()]
    return found


def _raw(params: Mapping[str, str], dataset: str) -> str:
    """The folder that the training's frames came from."""
    return params.get(f"{dataset}.raw") or params.get(f"custom.{dataset}.raw") or "not known"


def _how_many(root: Path, dataset: str, version: Version) -> str:
    # Only this project's own index tells how many frames a checksum stands for.
    index = root / "data" / "prepared" / dataset / INDEX
    told = version.tags.get(f"symbio.index.data/prepared/{dataset}")
    if not index.is_file() or sha256_of(index) != told:
        return ""
    count = len(read_json(index, "the index of a shard folder")["splits"].get("train", []))
    return f", {count:,} frames"
