"""One trial: a whole, tracked training with changed params in a root of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.ranks.settings import Settings
from symbio.search.keys import write_params
from symbio.search.plan import Plan
from symbio.search.study import VARIANT
from symbio.tell import TELL_VARIABLE
from symbio.tracking.record import KILLED, RunRecord
from symbio.train.paths import Paths
from symbio.train.records.status import read_status, write_status

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains the trials of a study."""

    plan: Plan
    metric: str
    """The validation score by which trials are compared."""
    root: Path
    """The project's folder."""
    settings: Settings
    study_run: RunRecord
    """In which the trials' runs are nested."""
    while_training: Callable[[], None]
    """Called with each of the training's records."""

    def train(self, trial: optuna.Trial, params: Params) -> float | None:
        """Train one trial, or continue it from its newest checkpoint.

        Returns:
            The score of the network that it exported; None if it was told to stop.

        Raises:
            TrialPruned: its validations are worse than those of the trials before it.
            SymbioError: it failed; exit_code 75 if the same command continues it.
        """
        import optuna

        from symbio.lineage import collect
        from symbio.ranks.launch import expected_ranks
        from symbio.tracking.training import tracked_training
        from symbio.train.run import run

        plan, dataset = self.plan, self.plan.dataset
        # Absolute, since hosts of a hostfile start in the trial's root.
        folder = trial_folder(self.root.resolve(), plan, trial.number)
        _make_root(folder, self.root, params, f"{plan.title}: trial {trial.number} of {plan.name}")
        inputs = [f"data/{stage}/{dataset}" for stage in ("prepared", "pseudo")]
        lineage = collect(self.root, params, inputs, ranks=expected_ranks(self.settings))
        report = _reporter(trial, f"val/{self.metric}", params.train.steps)
        with tracked_training(self.root, dataset, lineage, self._nesting(trial, folder)) as tracked:

            def on_metrics(record: dict[str, Any]) -> None:
                tracked.metrics(record)
                self.while_training()
                report(record)

            try:
                with _own_progress():
                    summary = run(params, dataset, folder, self.settings, "auto", on_metrics)
            except optuna.TrialPruned:
                _note_pruned(Paths(folder, dataset).run)
                tracked.finish(KILLED)
                raise
            if summary["model"] is None:
                tracked.finish(KILLED)
        if summary["model"] is None:
            return None
        tracked.remember(Path(summary["model"]))
        score: float | None = summary["selected"]["scores"][self.metric]
        if score is None:
            raise SymbioError(f"the exported network has no finite {self.metric} on the val split")
        return score

    def _nesting(self, trial: optuna.Trial, folder: Path) -> Any:
        from symbio.tracking.training import Trial

        name = f"{self.plan.name}-{folder.name}"
        tags = {"symbio.study": self.plan.name, "symbio.trial": str(trial.number)}
        if VARIANT in trial.user_attrs:
            tags["symbio.variant"] = str(trial.user_attrs[VARIANT])
        return Trial(folder, name, self.study_run, tags)


def study_folder(root: Path, plan: Plan) -> Path:
    """Where a study is kept."""
    return root / "searches" / plan.name


def trial_folder(root: Path, plan: Plan, number: int) -> Path:
    """The root of a trial."""
    return study_folder(root, plan) / f"trial-{number:04d}"


def _make_root(folder: Path, root: Path, params: Params, title: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "data"
    if not link.is_symlink():
        # Relative: a project may be moved.
        link.symlink_to(os.path.relpath((root / "data").resolve(), folder.resolve()))
    write_params(params, folder / "params.yaml", title)


def _reporter(trial: optuna.Trial, key: str, steps: int) -> Callable[[dict[str, Any]], None]:
    """Tells Optuna each validation once, and prunes. A continued training repeats its records."""
    import optuna

    frozen = trial.study.trials[trial.number]
    told = set(frozen.intermediate_values)

    def report(record: dict[str, Any]) -> None:
        step, value = int(record["step"]), record["metrics"].get(key)
        if value is None or step in told:
            return
        told.add(step)
        trial.report(float(value), step)
        # After the last step there is nothing left to save.
        if step < steps and trial.should_prune():
            raise optuna.TrialPruned

    return report


def _note_pruned(run: Path) -> None:
    """The ranks were killed: nobody else says that this training is over."""
    status = read_status(run)
    if status is not None and status["state"] == "running":
        write_status(run, **{**status, "state": "interrupted", "message": "pruned"})


@contextlib.contextmanager
def _own_progress() -> Iterator[None]:
    """Keep the training from telling its steps where the study tells its trials."""
    told = os.environ.pop(TELL_VARIABLE, None)
    try:
        yield
    finally:
        if told is not None:
            os.environ[TELL_VARIABLE] = told
