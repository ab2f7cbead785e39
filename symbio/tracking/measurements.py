"""Measurements as the store holds them: the scores, and the tables and pictures beside them.

They come from three places: what `scores.store_scores` keeps of a version (scores/SHA256/), what an
evaluated training leaves (evaluation/), and what a trial of a study does (evaluation/frames.json).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import dataset_names
from symbio.tracking.models import Version
from symbio.tracking.scores import (
    METRICS_FILE,
    PICTURES,
    TABLES,
    metrics_sha256,
    scores_folder,
    scores_of,
)
from symbio.tracking.store import open_store

FRAMES_FILE = "frames.json"
"""A trial's scores, frame by frame (`symbio.search.frames`)."""

_SPLIT = "test"
_SCORES, _EVALUATION = "scores", "evaluation"
_MS = 1000
_PICTURE = re.compile(r"[A-Za-z0-9_\-]+\.png")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement of a network."""

    run_id: str
    """The run that holds it."""
    metrics: dict[str, Any]
    """As in metrics/{d}.json."""
    place: str
    """Folder of that run's artifacts in which tables and pictures are."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the store says of a run."""

    run_id: str
    name: str
    status: str
    seconds: float | None
    """From its start to its end; None while it runs."""
    tags: dict[str, str]
    params: dict[str, str]


def run_facts(root: Path, run_id: str) -> RunFacts:
    """What the store says of a run.

    Raises:
        SymbioError: there is no such run.
    """
    from mlflow.exceptions import MlflowException

    try:
        run = open_store(root).get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise SymbioError(f"runs:/{run_id}: there is no such run in this store") from error
        raise
    start, end = run.info.start_time, run.info.end_time
    return RunFacts(
        run_id=run_id,
        name=run.info.run_name or run_id,
        status=run.info.status,
        seconds=(end - start) / _MS if start and end else None,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
    )


def measurements_of_version(root: Path, version: Version, protocol: str) -> list[Measurement]:
    """Those of a version on the test split by a protocol, the newest first; may be none.

    Raises:
        SymbioError: scores in the store are not those that were put there.
    """
    return [
        Measurement(one.run_id, one.metrics, scores_folder(metrics_sha256(one.metrics)))
        for one in scores_of(root, version, _SPLIT, protocol)
    ]


def measurements_of_run(root: Path, run_id: str, into: Path) -> list[Measurement]:
    """Those that a run holds on the test split, what was logged last first; may be none.

    Args:
        root: the project's folder.
        run_id: a training, a trial or an evaluation.
        into: an empty folder.

    Raises:
        SymbioError: a file is not what was stored.
    """
    client = open_store(root)
    names = {Path(one.path).name for one in client.list_artifacts(run_id, _EVALUATION)}
    files = {f"{_EVALUATION}/{d}.json": f"{_EVALUATION}/report" for d in dataset_names(root)}
    files = {path: place for path, place in files.items() if Path(path).name in names}
    if not files:
        stored = client.list_artifacts(run_id, _SCORES)
        files = {f"{one.path}/{METRICS_FILE}": one.path for one in stored if one.is_dir}
    found = []
    for path, place in files.items():
        file = Path(client.download_artifacts(run_id, path, str(into)))
        found.append(Measurement(run_id, read_json(file, "the scores of a run"), place))
    if not found and FRAMES_FILE in names:
        path = f"{_EVALUATION}/{FRAMES_FILE}"
        frames = read_json(Path(client.download_artifacts(run_id, path, str(into))), "frames")
        found = [Measurement(run_id, metrics_of_trial(frames), _EVALUATION)]
    return [one for one in found if one.metrics["split"] == _SPLIT]


def metrics_of_trial(frames: Mapping[str, Any]) -> dict[str, Any]:
    """What metrics/{d}.json would say, from the content of frames.json.

    Raises:
        SymbioError: the trial was not measured on the test split.
    """
    split = frames["splits"].get(_SPLIT)
    if split is None:
        raise SymbioError(f"a trial of {frames['dataset']} was not measured on the test split")
    truth = split["classes"].get("truth")
    return {
        **{key: frames[key] for key in ("dataset", "protocol", "aggregation", "data_sha256")},
        "split": _SPLIT,
        # As `Shards.split_sha256`, whose keys these are.
        "split_sha256": hashlib.sha256("\n".join(split["keys"]).encode()).hexdigest(),
        "maps_sha256": frames["maps_sha256"],
        "weights_sha256": frames["model"],
        "num_images": len(split["keys"]),
        "label_space": None if truth is None else truth["space"],
        "trained": split["totals"],
    }


def fetch_tables(root: Path, measurement: Measurement, into: Path) -> None:
    """Download the tables and pictures of a measurement, those that there are.

    Args:
        root: the project's folder.
        measurement: whose.
        into: gets per_image.csv, per_class.csv and depth_ranges.csv, or frames.json, and pictures/.

    Raises what MLflow raises when the store is away.
    """
    client, run_id, place = open_store(root), measurement.run_id, measurement.place

    def listed(folder: str) -> list[str]:
        return [str(one.path) for one in client.list_artifacts(run_id, folder)]

    tables = [path for path in listed(place) if Path(path).name in {*TABLES, FRAMES_FILE}]
    trial = f"{place}/{FRAMES_FILE}" in tables
    drawn = listed(f"{place}/report/{PICTURES}" if trial else f"{place}/{PICTURES}")
    pictures = [path for path in drawn if _PICTURE.fullmatch(Path(path).name)]
    for folder, paths in ((into, tables), (into / PICTURES, pictures)):
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            with tempfile.TemporaryDirectory(prefix="symbio-tables-") as aside:
                # Where below `aside` it lands is the store's own affair.
                file = client.download_artifacts(run_id, path, aside)
                shutil.move(file, folder / Path(path).name)
