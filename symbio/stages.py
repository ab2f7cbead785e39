"""Stages whose results are tracked: the stage's core, and what is told to the tracking store.

The cores know nothing of tracking; this is where the two meet.
"""

from __future__ import annotations

from pathlib import Path

from symbio.params import Params
from symbio.ranks.settings import Settings


def train(params: Params, dataset: str, root: Path, settings: Settings, resume: str) -> int:
    """Train as one tracked run; node 0, or a hostfile's launcher, does the tracking.

    Returns:
        0, or 75 when the run was told to stop and can go on.

    Raises:
        SymbioError: the run failed; `exit_code` is 75 if the same command continues it.
    """
    from symbio.lineage import collect
    from symbio.ranks.launch import expected_ranks
    from symbio.tracking.record import KILLED
    from symbio.tracking.training import tracked_training
    from symbio.train.run import join, run

    if settings.node_rank > 0:
        return join(params, dataset, root, settings, resume)
    inputs = [f"data/{stage}/{dataset}" for stage in ("prepared", "pseudo")]
    lineage = collect(root, params, inputs, ranks=expected_ranks(settings))
    with tracked_training(root, dataset, lineage) as tracked:
        summary = run(params, dataset, root, settings, resume, tracked.metrics)
        if summary["model"] is None:
            tracked.finish(KILLED)
    if summary["model"] is not None:
        # After the block, when the store has told the run's id.
        tracked.remember(Path(summary["model"]))
    return int(summary["exit_code"])


def evaluate(
    params: Params, dataset: str, root: Path, protocol: str | None, split: str, ranks: str | None
) -> None:
    """Evaluate, and store the pipeline's own result with the run that trained the model.

    Raises:
        SymbioError: something is missing or broken.
    """
    from symbio.evaluate.run import run
    from symbio.tracking.results import log_evaluation

    run(params, dataset, root, protocol, split, ranks)
    if split == "test" and protocol in (None, params.dataset(dataset).protocol):
        log_evaluation(root, dataset)
