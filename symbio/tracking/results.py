"""What later stages add to a training run, and catching up after an outage."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import dataset_names
from symbio.progress import say
from symbio.tracking.made import read_made
from symbio.tracking.mirror import find_run, log_artifact, send_readings
from symbio.tracking.outage import told_as_error
from symbio.tracking.record import (
    KILLED,
    RUN_FILE,
    RUNNING,
    Reading,
    RunRecord,
    flatten,
    read_record,
    record_before,
)
from symbio.tracking.runs import send_run
from symbio.tracking.store import experiment_name, open_store, tracking_uri
from symbio.tracking.training import WEIGHTS_TAG, run_folder


def log_evaluation(root: Path, dataset: str) -> bool:
    """Store `metrics/{d}.json` and `reports/{d}` with the run that trained `models/{d}`.

    Called again it changes nothing. Returns False, with one line to
    the user, when the run is not in this store or the store is away.
    """
    try:
        return _log_evaluation(root, dataset)
    except SymbioError:
        raise
    except Exception as error:
        # Stores fail in many types (HTTP, database driver, MLflow's own): all mean "later".
        say(f"The evaluation is not tracked for now ({type(error).__name__}); run `symbio sync`.")
        return False


def _log_evaluation(root: Path, dataset: str) -> bool:
    metrics_file = root / "metrics" / f"{dataset}.json"
    metrics = read_json(metrics_file, f"evaluation of {dataset}; run `symbio evaluate {dataset}`")
    # The file's own time, so that storing the same file again gives the same rows.
    time_ms = int(metrics_file.stat().st_mtime * 1000)
    run_id = training_run(root, dataset)
    if run_id is None:
        say(f"The run that trained models/{dataset} is not in {tracking_uri(root)}; not tracked.")
        return False
    client = open_store(root)
    readings = [
        Reading(key=key, value=value, step=0, time_ms=time_ms)
        for key, value in evaluation_metrics(metrics).items()
    ]
    send_readings(client, run_id, readings)
    log_artifact(client, run_id, metrics_file, "evaluation")
    if (root / "reports" / dataset).is_dir():
        log_artifact(client, run_id, root / "reports" / dataset, "evaluation/report")
    return True


def training_run(root: Path, dataset: str) -> str | None:
    """The store's id of the run that trained `models/{dataset}`, or None if it has no such run.

    It is the run that exported these weights; of several that did, the newest.
    """
    weights = _weights(root, dataset)
    if weights is None:
        return None
    client, folder = open_store(root), run_folder(root, dataset)
    record = record_before(folder)
    if record is not None and read_made(folder).get(WEIGHTS_TAG) == weights:
        found = find_run(client, root, record.experiment, record.key)
        if found is not None:
            return found
    experiment = client.get_experiment_by_name(experiment_name(dataset))
    if experiment is None:
        return None
    trained = client.search_runs(
        [experiment.experiment_id],
        filter_string=f"tags.`{WEIGHTS_TAG}` = '{weights}' and tags.`symbio.stage` = 'train'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return str(trained[0].info.run_id) if trained else None


def run_of_model(root: Path, dataset: str) -> str | None:
    """As `training_run`, but a run that is only kept on disk yet is sent first.

    Raises what MLflow raises when the store is away.
    """
    found, folder = training_run(root, dataset), run_folder(root, dataset)
    if found is not None or record_before(folder) is None:
        return found
    weights = _weights(root, dataset)
    if weights is None or read_made(folder).get(WEIGHTS_TAG) != weights:
        return None
    return send_run(folder, root)


def _weights(root: Path, dataset: str) -> str | None:
    """SHA-256 of the weights of `models/{dataset}`, as its card says; hexadecimal digits only."""
    path = root / "models" / dataset / "model.json"
    if not path.is_file():
        return None
    told = str(read_json(path, "an exported network's description").get("weights_sha256"))
    return told if re.fullmatch(r"[0-9a-f]{64}", told) else None


def run_tags(root: Path, run_id: str) -> dict[str, str]:
    """Tags of a run in the store."""
    return dict(open_store(root).get_run(run_id).data.tags)


def sync(root: Path) -> int:
    """Send everything that the store does not have yet; returns how many runs were sent.

    Raises:
        SymbioError: the store is still away (exit_code 75), or refuses.
    """
    sent = 0
    store = f"the tracking store {tracking_uri(root)} cannot be brought up to date"
    with told_as_error(store):
        for folder in _run_folders(root):
            record = read_record(folder)
            if not record.stored and not _is_alive(record):
                if record.status == RUNNING:
                    record.ended(KILLED).write(folder)
                send_run(folder, root)
                sent += 1
        for dataset in dataset_names(root):
            if (root / "metrics" / f"{dataset}.json").is_file():
                _log_evaluation(root, dataset)
    return sent


def evaluation_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of metrics/{d}.json by the names that the store gets; what is null is left out.

    The trained network's are `test/abs_rel`, those it is compared with `test/constant/abs_rel`,
    counts `test/num_images`.
    """
    flat = {**flatten(metrics), **metrics.get("trained", {})}
    return {
        f"test/{key.replace('.', '/')}": float(value)
        for key, value in flat.items()
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and not key.startswith("trained.")
    }


def _run_folders(root: Path) -> list[Path]:
    """Folders of tracked runs; a study before its trials, which look for it in the store."""
    trainings = f"checkpoints/tracking/*/{RUN_FILE}"
    places = (trainings, f"searches/*/tracking/{RUN_FILE}", f"searches/*/trial-*/{trainings}")
    return [path.parent for place in places for path in sorted(root.glob(place))]


def _is_alive(record: RunRecord) -> bool:
    """Whether the run's process still works on it; on another host it is taken to."""
    if record.status != RUNNING:
        return False
    if record.host != socket.gethostname():
        return True
    try:
        os.kill(record.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
