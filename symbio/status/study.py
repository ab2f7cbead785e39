"""The state of a study: what its storage says of its trials, and what their trainings are doing.

Only reads. A trial that is under way belongs to a worker on whichever host; its training is judged
where its folder is seen, as any training is, and by the worker's word to the storage elsewhere.
"""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import dataset_names
from symbio.ranks.heartbeat import filesystem_now
from symbio.status.state import RunState, state_of
from symbio.tracking.record import FAILED, FINISHED, RUNNING, read_record

if TYPE_CHECKING:
    import optuna

Name = Literal["running", "finished", "failed", "stopped", "unknown"]

SEARCHES = Path("searches")
LOST = "lost"
"""State of a trial whose worker is gone; the next worker goes on with it."""


@dataclass(frozen=True, slots=True)
class TrialState:
    """One trial."""

    number: int
    state: str
    """As in the study's answer; `LOST` besides."""
    what: str
    """Variant and seed, or changes of params."""
    score: float | None
    """Of the network, or the last validation."""
    seconds: float
    worker: str
    """Who trains it, or trained it last, "host:pid"."""
    training: RunState | None
    """Of a trial under way, where its folder is seen."""
    message: str
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class StudyState:
    """A study and its trials."""

    name: str
    dataset: str
    state: Name
    why: str
    """In words."""
    metric: str
    trials: list[TrialState]


def studies_in(root: Path, dataset: str | None = None) -> list[StudyState]:
    """The studies in searches/, by name; of one data set or of all."""
    found = []
    for path in sorted((root / SEARCHES).glob("*/result.json")):
        known = read_json(path, "the result of a study")
        if dataset in (None, known["dataset"]):
            found.append(_study_in(path.parent, known))
    return found


def _study_in(folder: Path, known: dict[str, Any]) -> StudyState:
    name, dataset, metric = folder.name, known["dataset"], str(known.get("metric", ""))
    if "wanted" not in known:
        return StudyState(name, dataset, "unknown", "result.json is of an older symbio", metric, [])
    try:
        trials = _trials_of(folder)
    except SymbioError as error:
        return StudyState(name, dataset, "unknown", str(error), metric, [])
    state, why = _judged(folder, trials, known["wanted"])
    return StudyState(name, dataset, state, why, metric, trials)


def _trials_of(folder: Path) -> list[TrialState]:
    """What the study's storage says now.

    Raises:
        SymbioError: the storage is away, or does not hold the study.
    """
    import optuna
    import sqlalchemy

    from symbio.search.storage import DATABASE, STUDIES_VARIABLE, open_storage, storage_url

    if storage_url(folder).startswith("sqlite") and not (folder / DATABASE).is_file():
        raise SymbioError(
            f"its database is not here; set {STUDIES_VARIABLE} to the one that it was made in"
        )
    try:
        study = optuna.load_study(study_name=folder.name, storage=open_storage(folder))
        storage: Any = study._storage
        silent = set(storage._get_stale_trial_ids(study._study_id))
        trials = study.get_trials(deepcopy=False)
    except KeyError as error:
        raise SymbioError(f"is not in the database that {STUDIES_VARIABLE} names") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        # The kind alone: the message may hold the URL.
        kind = type(error.__cause__ or error).__name__
        raise SymbioError(f"its database does not answer ({kind})") from error
    return [_trial(folder, trial, trial._trial_id in silent) for trial in trials]


def _trial(folder: Path, trial: optuna.trial.FrozenTrial, is_silent: bool) -> TrialState:
    from symbio.search import attributes
    from symbio.search.result import RUNNING as UNDER_WAY
    from symbio.search.result import trial_state

    known, state = trial.user_attrs, trial_state(trial)
    training = _training(folder / f"trial-{trial.number:04d}") if state == UNDER_WAY else None
    if state == UNDER_WAY and (is_silent or (training and training.name == "dead")):
        state = LOST
    steps = sorted(trial.intermediate_values)
    reported = [trial.intermediate_values[step] for step in steps]
    scores = [*reported[-1:], *(trial.values or ())[:1]]
    return TrialState(
        number=trial.number,
        state=state,
        what=_what(known, attributes.VARIANT, attributes.SEED, attributes.CHANGES),
        score=scores[-1] if scores else None,
        seconds=float(known.get(attributes.SECONDS, 0.0)),
        worker=str(known.get(attributes.WORKER) or ""),
        training=training,
        message=str(known.get(attributes.MESSAGE) or ""),
    )


def _what(known: dict[str, Any], variant: str, seed: str, changes: str) -> str:
    if known.get(variant) is not None:
        return str(known[variant]) + (f", seed {known[seed]}" if known.get(seed) else "")
    return ", ".join(
        f"{key.rpartition('.')[2]} " + (f"{value:.3g}" if isinstance(value, float) else str(value))
        for key, value in (known.get(changes) or {}).items()
    )


def _training(root: Path) -> RunState | None:
    for dataset in dataset_names(root):
        run = root / "checkpoints" / dataset
        if run.is_dir():
            return state_of(run, filesystem_now(run.parent))
    return None


def _judged(folder: Path, trials: list[TrialState], wanted: int) -> tuple[Name, str]:
    from symbio.search.result import RUNNING as UNDER_WAY

    counts = Counter(trial.state for trial in trials)
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no trial yet"
    why = f"{told}, of {wanted}"
    if counts[UNDER_WAY]:
        return "running", why
    try:
        record = read_record(folder / "tracking")
    except SymbioError:
        return "stopped", why
    here = record.host == socket.gethostname()
    if record.status == RUNNING and here and psutil.pid_exists(record.pid):
        return "running", why
    ended: dict[str, Name] = {FINISHED: "finished", FAILED: "failed"}
    return ended.get(record.status, "stopped"), why
