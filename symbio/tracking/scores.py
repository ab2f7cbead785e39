"""Scores of registered versions: kept by whoever measures, read by whoever compares.

They lie in a run's artifacts under `scores/{start of their SHA-256}/`: metrics.json; per_image.csv,
a row a frame; per_class.csv, depth_ranges.csv and the pictures of the frames that are always shown;
and of a registration dvc.lock. So a run that is evaluated twice keeps both, and a version finds its
own.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.tracking.mirror import log_artifact, send_readings
from symbio.tracking.models import Version, tag_version
from symbio.tracking.record import FINISHED, Reading
from symbio.tracking.results import evaluation_metrics
from symbio.tracking.runs import record_run, send_run
from symbio.tracking.store import experiment_name, open_store
from symbio.tracking.training import WEIGHTS_TAG

METRICS_TAG = "symbio.metrics_sha256"
METRICS_FILE, PER_IMAGE, DVC_LOCK = "metrics.json", "per_image.csv", "dvc.lock"
TABLES = (PER_IMAGE, "per_class.csv", "depth_ranges.csv")
PICTURES = "pictures"

_CARD = "model.json"
_EVALUATION_TAG = "symbio.evaluation"


@dataclass(frozen=True, slots=True)
class Scores:
    """One measurement of a version."""

    run_id: str
    """The run that holds it."""
    metrics: dict[str, Any]
    """As in metrics/{d}.json."""
    frames: dict[str, dict[str, str]] | None
    """Key of a frame -> its row of per_image.csv; None: there is no such table."""


def metrics_sha256(metrics: Mapping[str, Any]) -> str:
    """Names a metrics file's content, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(metrics, sort_keys=True).encode()).hexdigest()


def store_scores(
    root: Path, run_id: str, metrics: Mapping[str, Any], report: Path, lock: Path | None = None
) -> None:
    """Keep scores with a run. Again with the same scores it changes nothing.

    Args:
        root: the project's folder.
        run_id: of the run.
        metrics: the metrics file's content.
        report: folder whose tables and pictures go along, those that there are.
        lock: the project's dvc.lock, which goes along where that file exists.

    Raises what MLflow raises when the store is away.
    """
    client, place = open_store(root), scores_folder(metrics_sha256(metrics))
    with tempfile.TemporaryDirectory(prefix="symbio-scores-") as folder:
        write_json(Path(folder) / METRICS_FILE, metrics)
        log_artifact(client, run_id, Path(folder) / METRICS_FILE, place)
    for path in (*(report / name for name in TABLES), *([] if lock is None else [lock])):
        if path.is_file():
            log_artifact(client, run_id, path, place)
    if (report / PICTURES).is_dir():
        log_artifact(client, run_id, report / PICTURES, f"{place}/{PICTURES}")


def require_weights(version: Version, network: Path) -> None:
    """Refuse a fetched network that is not the one that was registered.

    Raises:
        SymbioError: its card names other weights than the version's tag.
    """
    found = read_json(network / _CARD, "a registered network's description").get("weights_sha256")
    expected = version.tags.get(WEIGHTS_TAG)
    if expected is not None and found != expected:
        raise SymbioError(
            f"{version.uri}: the store holds weights {str(found)[:12]}..., registered were "
            f"{expected[:12]}...: they were exchanged; register the model again"
        )


def log_version_evaluation(
    root: Path,
    version: Version,
    metrics: Mapping[str, Any],
    headline: str,
    out: Path,
    lineage: Mapping[str, str],
) -> str:
    """Store an evaluation of a registered version as a run of its own; returns the run's id.

    The same numbers again are the same run. Tags of the version say where its newest scores on
    this split by this protocol are (`symbio.evaluation.{split}.{protocol}`), and the headline's
    value (`metric.{split}.{protocol}.{headline}`); the protocol's name ends in `-flip` where
    mirrored views were averaged in.

    Args:
        root: the project's folder.
        version: what was evaluated.
        metrics: content of `out`/metrics.json.
        headline: one of the metrics.
        out: folder of metrics.json and report/.
        lineage: tags of the code and the data.

    Raises what MLflow raises when the store is away.
    """
    dataset, split, protocol = (str(metrics[key]) for key in ("dataset", "split", "protocol"))
    protocol += "-flip" if metrics.get("flip") else ""
    sha256 = metrics_sha256(metrics)
    what = f"{version.name}-{version.version}"
    folder = root / "checkpoints" / "tracking" / f"evaluate-{what}-{sha256[:16]}"
    record_run(
        folder,
        root,
        experiment=experiment_name(dataset),
        name=f"evaluate-{what}-{split}-{protocol}",
        status=FINISHED,
        tags={
            **lineage,
            "symbio.stage": "evaluate",
            "symbio.dataset": dataset,
            "symbio.model": version.uri,
            "symbio.protocol": protocol,
            "symbio.split": split,
            "symbio.data_sha256": str(metrics["data_sha256"]),
        },
        artifacts={out / "report": "evaluation/report"},
    )
    run_id = send_run(folder, root)
    time_ms = int((out / METRICS_FILE).stat().st_mtime * 1000)
    readings = [
        Reading(key=key, value=value, step=0, time_ms=time_ms)
        for key, value in evaluation_metrics(metrics).items()
    ]
    send_readings(open_store(root), run_id, readings)
    store_scores(root, run_id, metrics, out / "report")
    value = metrics["trained"][headline]
    tags = {
        f"{_EVALUATION_TAG}.{split}.{protocol}": json.dumps(
            {"run_id": run_id, "metrics_sha256": sha256}
        ),
        f"metric.{split}.{protocol}.{headline}": "none" if value is None else f"{value:.6g}",
    }
    tag_version(root, version, tags)
    return run_id


def scores_of(root: Path, version: Version, split: str, protocol: str) -> list[Scores]:
    """What is known of a version on a split by a protocol: evaluated later first, then registered.

    Raises:
        SymbioError: scores in the store are not those that were put there.
    """
    found = _read_all(root, version, [f"{_EVALUATION_TAG}.{split}.{protocol}"])
    return [
        one for one in found if (one.metrics["split"], one.metrics["protocol"]) == (split, protocol)
    ]


def every_score_of(root: Path, version: Version) -> list[Scores]:
    """What is known of a version by any protocol: evaluated later first, then registered.

    Raises:
        SymbioError: scores in the store are not those that were put there.
    """
    later = sorted(key for key in version.tags if key.startswith(f"{_EVALUATION_TAG}."))
    return _read_all(root, version, later)


def _read_all(root: Path, version: Version, tags: list[str]) -> list[Scores]:
    """The scores that these tags of the version tell of, and then those it was registered with."""
    places: list[tuple[str, str]] = []
    for told in (version.tags[tag] for tag in tags if tag in version.tags):
        later = json.loads(told)
        places.append((later["run_id"], later["metrics_sha256"]))
    if METRICS_TAG in version.tags:
        places.append((version.run_id, version.tags[METRICS_TAG]))
    return [one for run_id, sha in places if (one := _read(root, version, run_id, sha))]


def _read(root: Path, version: Version, run_id: str, sha256: str) -> Scores | None:
    client, place = open_store(root), scores_folder(sha256)
    names = {Path(one.path).name for one in client.list_artifacts(run_id, place)}
    if METRICS_FILE not in names:
        return None
    with tempfile.TemporaryDirectory(prefix="symbio-scores-") as folder:
        path = Path(client.download_artifacts(run_id, f"{place}/{METRICS_FILE}", folder))
        metrics = read_json(path, "the scores of a registered version")
        if metrics_sha256(metrics) != sha256 or (
            metrics.get("weights_sha256") != version.tags.get(WEIGHTS_TAG)
        ):
            raise SymbioError(
                f"{version.uri}: {place}/{METRICS_FILE} of its run {run_id} was changed, or is of "
                f"another model; measure it again: `symbio evaluate {metrics.get('dataset')} "
                f"--model {version.uri}`"
            )
        frames = None
        if PER_IMAGE in names:
            table = Path(client.download_artifacts(run_id, f"{place}/{PER_IMAGE}", folder))
            with table.open(newline="", encoding="utf-8") as file:
                frames = {row["key"]: row for row in csv.DictReader(file)}
    return Scores(run_id, metrics, frames)


def scores_folder(sha256: str) -> str:
    """Where scores of this SHA-256 lie in a run's artifacts."""
    return f"scores/{sha256[:16]}"
