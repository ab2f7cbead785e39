"""Stages whose results are tracked: the stage's core, and what is told to the tracking store.

The cores know nothing of tracking; this is where the two meet.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from symbio.params import Params
from symbio.ranks.settings import Settings


def train(params: Params, dataset: str, root: Path, settings: Settings, resume: str) -> int:
    """Train as one tracked run; node 0, or a hostfile's launcher, does the tracking.

    Returns:
        0, or 75 when the run was told to stop and can go on.

    Raises:
        SymbioError: the run failed; `exit_code` is 75 if the same command continues it.
    """
    from symbio.lineage.collect import collect
    from symbio.ranks.launch import expected_ranks
    from symbio.ranks.settings import num_threads
    from symbio.tracking.record import KILLED
    from symbio.tracking.training import tracked_training
    from symbio.train.paths import Paths
    from symbio.train.records.journal import machines_of
    from symbio.train.run import join, run

    if settings.node_rank > 0:
        return join(params, dataset, root, settings, resume)
    inputs = [f"data/{stage}/{dataset}" for stage in ("prepared", "pseudo")]
    ranks, threads = expected_ranks(settings), num_threads(settings.ranks)
    lineage = collect(root, params, inputs, dataset=dataset, ranks=ranks, threads=threads)
    with tracked_training(root, dataset, lineage) as tracked:
        summary = run(params, dataset, root, settings, resume, tracked.metrics)
        if summary["model"] is None:
            tracked.finish(KILLED)
        else:
            tracked.made(Path(summary["model"]), *machines_of(Paths(root, dataset).run))
    return int(summary["exit_code"])


def label(params: Params, dataset: str, root: Path, settings: Settings | None = None) -> None:
    """Write pseudo-labels, and store their quality as a run of its own; node 0 does that.

    Args:
        params: of the experiment.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        settings: on which ranks and hosts; None: as the environment says.

    Raises:
        SymbioError: as `symbio.label.run.run`.
    """
    from symbio.label.run import run
    from symbio.lineage.collect import collect
    from symbio.tracking.labels import log_labels

    quality = run(params, dataset, root, settings)
    if quality is None:
        return
    inputs = [f"data/{stage}/{dataset}" for stage in ("prepared", "pseudo")]
    log_labels(root, dataset, quality, collect(root, params, inputs, dataset=dataset))


def evaluate_version(
    params: Params,
    dataset: str,
    root: Path,
    model: str,
    protocol: str | None,
    split: str,
    ranks: str | None,
    flip: bool = False,
) -> dict[str, Any]:
    """Evaluate a registered version on the data prepared here; the pipeline's own results stay.

    Writes `evaluations/{name}-{version}/{dataset}-{split}-{protocol}/` (metrics.json, report/) of
    each result, stores it as a run `evaluate-...` and tags the version with where that is and the
    first metric.

    Args:
        params: of the experiment; the network's own size and depth range come from its card.
        dataset: nyu, kitti or a key of `custom`.
        root: the project's folder.
        model: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        protocol: another protocol than the params' own; "all": all that these frames allow.
        split: "test", "val" or "train".
        ranks: processes on this host.
        flip: also score with mirrored views averaged in.

    Returns:
        The content of metrics.json; of several, of the first.

    Raises:
        SymbioError: something is missing or broken, the model is of another data set; the store
            refuses, or is away (exit_code 75).
    """
    from symbio.evaluate.run import OtherModel, run_all, tasks_of
    from symbio.lineage.collect import collect
    from symbio.predict.source import fetch_network
    from symbio.tracking.models import version_at
    from symbio.tracking.outage import told_as_error
    from symbio.tracking.scores import log_version_evaluation, require_weights
    from symbio.tracking.store import tracking_uri

    with told_as_error(f"{model}: cannot be had from the store {tracking_uri(root)}"):
        version = version_at(root, model)
    out = root / "evaluations" / f"{version.name}-{version.version}"
    with tempfile.TemporaryDirectory(prefix="symbio-evaluate-") as temporary:
        folder = fetch_network(version.uri, root, Path(temporary))
        require_weights(version, folder)
        other = OtherModel(folder, version.uri, out)
        tasks, _ = tasks_of(params, dataset, root, protocol, split, other, flip)
        found = run_all(params, dataset, root, protocol, split, ranks, other, flip)
    with told_as_error(f"{out}: cannot be stored in {tracking_uri(root)}"):
        inputs = [f"data/{one}/{dataset}" for one in ("prepared", "pseudo")]
        lineage = collect(root, params, inputs, dataset=dataset)
        for task, metrics in zip(tasks, found, strict=True):
            headline, place = task.protocol.metrics[0], task.metrics.parent
            log_version_evaluation(root, version, metrics, headline, place, lineage.tags())
    return found[0]


def evaluate(
    params: Params,
    dataset: str,
    root: Path,
    protocol: str | None,
    split: str,
    ranks: str | None,
    flip: bool = False,
) -> None:
    """Evaluate, and store the pipeline's own result with the run that trained the model.

    The arguments are those of `evaluate_version`.

    Raises:
        SymbioError: something is missing or broken.
    """
    from symbio.evaluate.run import ALL, run_all
    from symbio.tracking.results import log_evaluation

    run_all(params, dataset, root, protocol, split, ranks, flip=flip)
    if split == "test" and protocol in (None, ALL, params.dataset(dataset).protocol):
        log_evaluation(root, dataset)
