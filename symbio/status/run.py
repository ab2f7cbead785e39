"""`symbio status`: one line a run and a table of its ranks; a study, and a table of its trials."""

from __future__ import annotations

import sys
from pathlib import Path

from symbio.params import dataset_names
from symbio.ranks.heartbeat import filesystem_now
from symbio.status.state import Name, RankState, RunState, state_of
from symbio.status.study import StudyState, TrialState, studies_in
from symbio.status.table import aligned

WELL: tuple[Name, ...] = ("running", "slow", "finished")
"""States in which nobody has to do anything: exit code 0."""

_COLUMNS = ("rank", "host", "process", "step", "phase", "got on", "heartbeat", "")


def run(dataset: str | None, root: Path = Path(".")) -> int:
    """Print the state of a data set's training run and studies, or of all there are.

    Returns:
        0 if each of them is running, slow or finished; else, or if there is none, 1.
    """
    folder = root / "checkpoints"
    now = filesystem_now(folder)
    names = dataset_names(root) if dataset is None else (dataset,)
    states = {name: state_of(folder / name, now) for name in names}
    found = {name: state for name, state in states.items() if state.name != "none"}
    studies = studies_in(root, dataset)
    for name, state in (found or ({} if studies else states)).items():
        sys.stdout.write(f"{described(name, state)}\n")
    for study in studies:
        sys.stdout.write(f"{described_study(study)}\n")
    told = [*(state.name for state in found.values()), *(study.state for study in studies)]
    return 0 if told and all(name in WELL for name in told) else 1


def described(dataset: str, state: RunState) -> str:
    """The state in words, and a line for each rank of a run under way."""
    text = f"{dataset}: {state.name}"
    if state.step is not None:
        text += f" at step {state.step}" + (f" of {state.steps}" if state.steps else "")
    if state.why:
        text += f": {state.why}"
    return "\n".join([text, *_table(state.ranks)])


def described_study(study: StudyState) -> str:
    """The state in words, and a line for each trial."""
    text = f"study {study.name} ({study.dataset}): {study.state}; {study.why}"
    if not study.trials:
        return text
    columns = ("trial", "state", study.metric, "step", "minutes", "worker", "")
    return "\n".join([text, *aligned([columns, *(_trial_row(one) for one in study.trials)])])


def _trial_row(trial: TrialState) -> tuple[str, ...]:
    training = trial.training
    step, state = "", trial.state
    if training is not None and training.step is not None:
        step = f"{training.step}" + (f" of {training.steps}" if training.steps else "")
    if training is not None and training.name in ("slow", "hung"):
        state = training.name
    return (
        str(trial.number),
        state,
        "" if trial.score is None else f"{trial.score:.4g}",
        step,
        f"{trial.seconds / 60:.1f}" if trial.seconds else "",
        trial.worker,
        ": ".join(filter(None, (trial.what, trial.message))),
    )


def _table(ranks: list[RankState]) -> list[str]:
    if not ranks:
        return []
    missing = ranks[0].beat.world - len(ranks)
    lines = aligned([_COLUMNS, *(_row(rank) for rank in ranks)])
    if missing > 0:
        lines.append(f"{missing} more without a heartbeat here")
    return lines


def _row(rank: RankState) -> tuple[str, ...]:
    beat = rank.beat
    return (
        str(beat.rank),
        beat.host,
        str(beat.pid),
        "-" if beat.step is None else str(beat.step),
        beat.phase,
        f"{beat.since_progress_s + rank.age_s:.1f} s ago",
        f"{rank.age_s:.1f} s ago",
        "" if rank.alive else "stopped, dead or out of reach",
    )
