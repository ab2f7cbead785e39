"""What the tracking store knows of how a registered version came about."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.tracking.models import Version, version_at
from symbio.tracking.outage import told_as_error
from symbio.tracking.scores import DVC_LOCK, METRICS_FILE, METRICS_TAG, scores_folder
from symbio.tracking.store import open_store, tracking_uri

LINEAGE_FILE, DIFF_FILE = "lineage/lineage.json", "lineage/uncommitted.diff"
"""In the artifacts of the run that trained, or registered, a model."""

_DIFF_TAG = "symbio.git_diff_sha256"


@dataclass(frozen=True, slots=True)
class Recorded:
    """How a version came about."""

    version: Version
    dataset: str
    lineage: dict[str, Any]
    """`Lineage.as_dict` of the training."""
    diff: str | None
    """What the commit did not have, as `git apply` takes it; None: nothing."""
    dvc_lock: dict[str, Any]
    """The project's dvc.lock when the version was registered; empty where there was none."""
    metrics: dict[str, Any]
    """metrics/{d}.json of the registration."""

    @property
    def commit(self) -> str | None:
        """Git commit of the training; None outside git."""
        commit: str | None = self.lineage["git"]["commit"]
        return commit

    @property
    def params(self) -> dict[str, Any]:
        """params.yaml as the training had it."""
        return dict(self.lineage["params"])

    @property
    def ranks(self) -> int:
        """Training processes."""
        return int(self.lineage["ranks"])

    @property
    def threads(self) -> int | None:
        """OpenMP threads of each of them; None: not recorded."""
        return self.lineage.get("threads")

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return int(self.lineage["seed"])


def recorded(root: Path, uri: str) -> Recorded:
    """Read it from the store.

    Args:
        root: the project's folder.
        uri: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.

    Raises:
        SymbioError: there is no such version, nothing is recorded of it, or what is recorded was
            changed; the store refuses, or is away (exit_code 75).
    """
    with told_as_error(f"{uri}: its lineage cannot be had from {tracking_uri(root)}"):
        version = version_at(root, uri)
        return recorded_of(root, version)


def recorded_of(root: Path, version: Version) -> Recorded:
    """As `recorded`, of a version at hand. Raises what MLflow raises when the store is away."""
    client = open_store(root)
    if not version.run_id:
        raise SymbioError(f"{version.uri}: no run belongs to it; symbio did not register it")
    place = scores_folder(version.tags.get(METRICS_TAG, ""))
    with tempfile.TemporaryDirectory(prefix="symbio-lineage-") as folder:

        def fetched(path: str) -> Path | None:
            parent, _, name = path.rpartition("/")
            names = {Path(one.path).name for one in client.list_artifacts(version.run_id, parent)}
            if name not in names:
                return None
            return Path(client.download_artifacts(version.run_id, path, folder))

        told = fetched(LINEAGE_FILE)
        if told is None:
            raise SymbioError(
                f"{version.uri}: its run {version.run_id} has no {LINEAGE_FILE}: how it was made "
                "is not known; register the model from the project that trained it"
            )
        lineage = read_json(told, "the lineage of a registered version")
        diff = fetched(DIFF_FILE) if lineage["git"]["dirty"] else None
        metrics, lock = fetched(f"{place}/{METRICS_FILE}"), fetched(f"{place}/{DVC_LOCK}")
        return Recorded(
            version,
            dataset=version.tags.get("symbio.dataset", version.name.removeprefix("symbio-")),
            lineage=lineage,
            diff=None if diff is None else _checked_diff(version, diff, lineage),
            dvc_lock={} if lock is None else _yaml(lock),
            metrics={} if metrics is None else read_json(metrics, "the scores of a version"),
        )


def outs_of(dvc_lock: Mapping[str, Any], stage: str) -> dict[str, dict[str, Any]]:
    """Path -> entry (md5, size, nfiles) of a stage's outputs, as `train@nyu`; empty if unknown."""
    return _entries(dvc_lock, stage, "outs")


def deps_of(dvc_lock: Mapping[str, Any], stage: str) -> dict[str, dict[str, Any]]:
    """Path -> entry (md5, size, nfiles) of what a stage read."""
    return _entries(dvc_lock, stage, "deps")


def _entries(dvc_lock: Mapping[str, Any], stage: str, kind: str) -> dict[str, dict[str, Any]]:
    found = (dvc_lock.get("stages") or {}).get(stage) or {}
    return {str(one["path"]): dict(one) for one in found.get(kind) or []}


def _checked_diff(version: Version, path: Path, lineage: Mapping[str, Any]) -> str:
    diff = path.read_bytes().decode("utf-8", "surrogateescape")
    expected = version.tags.get(_DIFF_TAG) or lineage["git"].get("diff_sha256")
    if hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest() != expected:
        raise SymbioError(
            f"{version.uri}: {DIFF_FILE} of its run is not the one that was recorded "
            f"({str(expected)[:12]}...): it was changed in the store"
        )
    return diff


def _yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SymbioError(f"{path.name} of the version is no YAML ({error})") from error
    return values if isinstance(values, dict) else {}
