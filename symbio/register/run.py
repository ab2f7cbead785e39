"""The stage `register`: models/{d} and metrics/{d}.json in, a registered version out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symbio.files import write_json
from symbio.lineage.collect import collect
from symbio.lineage.run import log_lineage
from symbio.params import Params
from symbio.progress import say
from symbio.register.register import read_result, register
from symbio.tracking import (
    evaluation_metrics,
    log_evaluation,
    record_run,
    run_of_model,
    run_tags,
    send_run,
    tracking_uri,
)
from symbio.tracking.outage import told_as_error, without_secrets
from symbio.tracking.record import FINISHED, lineage_files
from symbio.tracking.scores import METRICS_TAG, store_scores
from symbio.tracking.store import experiment_name
from symbio.tracking.training import WEIGHTS_TAG

_OF_THE_RUN = ("symbio.key", "symbio.run_before", "symbio.stage", "symbio.state")
"""Tags that say nothing about the model."""


def run(params: Params, dataset: str, root: Path = Path(".")) -> dict[str, Any]:
    """Register the trained and evaluated network of a data set as `symbio-{d}`.

    It is logged under the run that trained it; where the store does not know that run (the model
    was pulled from elsewhere), under a run of its own. Writes `registry/{d}.json`.

    Returns:
        The content of registry/{d}.json: name, version, uri, alias, run_id, source, metrics,
        protocol, weights_sha256, metrics_sha256.

    Raises:
        SymbioError: model or metrics are missing or do not belong together; the store refuses, or
            is away (exit_code 75).
    """
    card, metrics = read_result(dataset, root)
    with told_as_error(f"the model cannot be registered in {tracking_uri(root)}"):
        run_id = run_of_model(root, dataset)
        if run_id is None:
            run_id = _run_of_its_own(params, dataset, root, str(card["weights_sha256"]))
        else:
            log_evaluation(root, dataset)
        # By these it is compared when it is to be promoted.
        store_scores(root, run_id, metrics, root / "reports" / dataset, root / "dvc.lock")
        lineage = {
            key: value
            for key, value in run_tags(root, run_id).items()
            if key.startswith("symbio.") and key not in _OF_THE_RUN
        }
        version = register(dataset, root, run_id, lineage)
        log_lineage(root, version)
    entry = {
        "name": version.name,
        "version": version.version,
        "uri": version.uri,
        "run_id": version.run_id,
        "source": version.source,
        "protocol": metrics["protocol"],
        "metrics": evaluation_metrics({"trained": metrics["trained"]}),
        "weights_sha256": version.tags[WEIGHTS_TAG],
        "metrics_sha256": version.tags[METRICS_TAG],
    }
    write_json(root / "registry" / f"{dataset}.json", entry)
    say(f"{version.uri}: registered in {without_secrets(tracking_uri(root))}")
    return entry


def _run_of_its_own(params: Params, dataset: str, root: Path, weights: str) -> str:
    """A run for a model that was trained elsewhere, with the lineage that is known here."""
    inputs = [f"data/{stage}/{dataset}" for stage in ("prepared", "pseudo")]
    lineage = collect(root, params, [*inputs, f"models/{dataset}"], dataset=dataset)
    folder = root / "checkpoints" / "tracking" / f"{dataset}-registered-{weights[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    record_run(
        folder,
        root,
        experiment=experiment_name(dataset),
        name=f"register-{dataset}",
        status=FINISHED,
        tags={**lineage.tags(), "symbio.stage": "register", "symbio.dataset": dataset},
        artifacts={Path(path): place for path, place in lineage_files(folder, lineage).items()},
    )
    say(f"the run that trained models/{dataset} is not in this store; registering without it")
    return send_run(folder, root)
