"""The only door to MLflow.

A run is a folder first: `run.json` says what the run is, journals beside it hold its metrics, and
`mirror` makes the tracking store agree with the folder, as often as it takes. A store that is away
therefore costs neither a training step nor a metric. Importing this does not import MLflow.
"""

from __future__ import annotations

from symbio.tracking.fetched import fetch_model
from symbio.tracking.results import (
    evaluation_metrics,
    log_evaluation,
    run_of_model,
    run_tags,
    sync,
    training_run,
)
from symbio.tracking.runs import record_run, send_quietly, send_run
from symbio.tracking.store import experiment_name, global_store, open_store, open_ui, tracking_uri
from symbio.tracking.training import (
    TrainingRun,
    Trial,
    run_folder,
    sending_behind,
    tracked_training,
)

__all__ = [
    "TrainingRun",
    "Trial",
    "evaluation_metrics",
    "experiment_name",
    "fetch_model",
    "global_store",
    "log_evaluation",
    "open_store",
    "open_ui",
    "record_run",
    "run_folder",
    "run_of_model",
    "run_tags",
    "send_quietly",
    "send_run",
    "sending_behind",
    "sync",
    "tracked_training",
    "tracking_uri",
    "training_run",
]
