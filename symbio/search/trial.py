"""One trial: a whole, tracked training with changed params in a root of its own."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.lineage.collect import Lineage
from symbio.params import Params
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.handed import PARAMS_VARIABLE
from symbio.ranks.local import run_here
from symbio.ranks.settings import Settings
from symbio.search.attributes import DEFAULT, MEASURING_S, SCORES, TRAINING_S, VARIANT
from symbio.search.claims import Beat
from symbio.search.frames import FRAMES_FILE
from symbio.search.keys import write_params
from symbio.search.objectives import Objective
from symbio.search.plan import Plan
from symbio.search.storage import patiently
from symbio.tell import TELL_VARIABLE
from symbio.tracking.record import KILLED, RunRecord
from symbio.train.best import FOLDER as BEST
from symbio.train.paths import Paths
from symbio.train.records.journal import machines_of, read_lines

if TYPE_CHECKING:
    import optuna

    from symbio.tracking.training import Trial as TrackedTrial


@dataclass(frozen=True, slots=True)
class Trainer:
    """Trains the trials of a study."""

    plan: Plan
    objectives: Sequence[Objective]
    root: Path
    """The project's folder."""
    settings: Settings
    study_run: RunRecord
    """In which the trials' runs are nested."""
    while_training: Callable[[], None]
    """Called with each of the training's records."""
    on_stop: Callable[[], None]
    """Called when the training was told to stop, also where it came to its end all the same."""

    def train(self, trial: optuna.Trial, params: Params, beat: Beat) -> list[float] | None:
        """Train one trial, or continue it from its newest checkpoint.

        Returns:
            The exported network's score by each objective; None if it was told to stop.

        Raises:
            TrialPruned: its validations are worse than those of the trials before it.
            OutOfMemory: a rank had not enough.
            SymbioError: it failed; exit_code 2 if it would fail again.
        """
        import optuna

        from symbio.lineage.collect import collect
        from symbio.ranks.launch import expected_ranks
        from symbio.ranks.settings import num_threads
        from symbio.tracking.training import tracked_training
        from symbio.train.run import Enough, run

        plan, dataset = self.plan, self.plan.dataset
        # Absolute, since hosts of a hostfile start in the trial's root.
        folder = trial_folder(self.root.resolve(), plan, trial.number)
        _make_root(folder, self.root, params, f"{plan.title}: trial {trial.number} of {plan.name}")
        inputs = [f"data/{stage}/{dataset}" for stage in ("prepared", "pseudo")]
        ranks, threads = expected_ranks(self.settings), num_threads(self.settings.ranks)
        lineage: Lineage = collect(
            self.root, params, inputs, dataset=dataset, ranks=ranks, threads=threads
        )
        report = self._reporter(trial, params.train.steps)
        with tracked_training(self.root, dataset, lineage, self._nesting(trial, folder)) as tracked:

            def on_metrics(record: dict[str, Any]) -> None:
                tracked.metrics(record)
                self.while_training()
                if beat.taken_away:
                    raise SymbioError("another worker has this trial now", RESUME_ME)
                if report(record):
                    raise Enough

            with _own_progress():
                summary = run(params, dataset, folder, self.settings, "auto", on_metrics)
            if summary["model"] is None:
                tracked.finish(KILLED)
            patiently(
                lambda: trial.set_user_attr(TRAINING_S, trained_seconds(Paths(folder, dataset).run))
            )
            if summary["stopped"]:
                self.on_stop()
            if summary["model"] is not None:
                machines = machines_of(Paths(folder, dataset).run)
                tracked.made(Path(summary["model"]), *machines)
                # Within the run: what is measured is among its artifacts.
                self._measured(trial, params, folder, summary["selected"]["scores"])
        if summary["state"] == "abandoned":
            raise optuna.TrialPruned
        if summary["model"] is None:
            return None
        scores = summary["selected"]["scores"]
        return [_finite(scores, one.metric) for one in self.objectives]

    def _measured(
        self,
        trial: optuna.Trial,
        params: Params,
        folder: Path,
        scores: dict[str, float | None],
    ) -> None:
        """Measure the exported network, and tell Optuna its scores and how long that took."""
        patiently(lambda: trial.set_user_attr(SCORES, scores))
        begun = time.monotonic()
        measure(folder, self.plan.dataset, params)
        measuring_s = round(time.monotonic() - begun, 2)
        patiently(lambda: trial.set_user_attr(MEASURING_S, measuring_s))

    def _reporter(self, trial: optuna.Trial, steps: int) -> Callable[[dict[str, Any]], bool]:
        """Tells Optuna each validation once; whether it is not worth going on.

        A continued training repeats its records.
        """
        key = f"val/{self.objectives[0].metric}"
        told = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        compared = self.plan.suite is None
        default = trial.user_attrs.get(VARIANT) == DEFAULT

        def report(record: dict[str, Any]) -> bool:
            step, value = int(record["step"]), record["metrics"].get(key)
            if value is None or len(self.objectives) > 1:
                return False
            if step not in told:
                told.add(step)
                patiently(lambda: trial.report(float(value), step))
            if not compared or step != max(told):
                return False
            # Asked whatever the answer is worth: asking is how a trial enters ASHA's comparison.
            # A trial whose worker died on being told is told again.
            pruned = patiently(trial.should_prune)
            # After the last step there is nothing left to save.
            return pruned and step < steps and not default

        return report

    def _nesting(self, trial: optuna.Trial, folder: Path) -> TrackedTrial:
        from symbio.evaluate.held_out import PICTURES
        from symbio.tracking.training import Trial

        name = f"{self.plan.name}-{folder.name}"
        tags = {"symbio.study": self.plan.name, "symbio.trial": str(trial.number)}
        if VARIANT in trial.user_attrs:
            tags["symbio.variant"] = str(trial.user_attrs[VARIANT])
        # Where an evaluation has its own, so that any two runs can be laid upon each other.
        measured = {
            folder / PICTURES: f"evaluation/report/{PICTURES}",
            folder / FRAMES_FILE: "evaluation",
        }
        return Trial(folder, name, self.study_run, tags, measured)


def study_folder(root: Path, plan: Plan) -> Path:
    """Where a study is kept."""
    return root / "searches" / plan.name


def trial_folder(root: Path, plan: Plan, number: int) -> Path:
    """The root of a trial."""
    return study_folder(root, plan) / f"trial-{number:04d}"


def measure(folder: Path, dataset: str, params: Params) -> None:
    """Score the exported network of a trial frame by frame (`symbio.search.measure`)."""
    environment = {PARAMS_VARIABLE: params.model_dump_json()}
    run_here("symbio.search.measure", [dataset, "--root", str(folder)], 1, environment)


def forget_checkpoints(root: Path, plan: Plan, number: int) -> None:
    """Remove what only a continued training would need; journal, status and model stay."""
    run = Paths(trial_folder(root, plan, number), plan.dataset).run
    for folder in (*run.glob("step-*"), run / BEST):
        shutil.rmtree(folder, ignore_errors=True)


def trained_seconds(run: Path) -> float:
    """Seconds from each start of a run to its last record: steps, validations, checkpoints."""
    total, begun, last = 0.0, None, 0.0
    for record in read_lines(run):
        if record.get("event") == "start":
            total += 0.0 if begun is None else last - begun
            begun = last = float(record["time"])
        elif begun is not None:
            last = float(record["time"])
    return round(total if begun is None else total + last - begun, 2)


def _make_root(folder: Path, root: Path, params: Params, title: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "data"
    if not link.is_symlink():
        # Relative: a project may be moved.
        link.symlink_to(os.path.relpath((root / "data").resolve(), folder.resolve()))
    write_params(params, folder / "params.yaml", title)


def _finite(scores: dict[str, float | None], metric: str) -> float:
    """A score, NaN where it is none."""
    value = scores[metric]
    return math.nan if value is None else value


@contextlib.contextmanager
def _own_progress() -> Iterator[None]:
    """Keep the training from telling its steps where the study tells its trials."""
    told = os.environ.pop(TELL_VARIABLE, None)
    try:
        yield
    finally:
        if told is not None:
            os.environ[TELL_VARIABLE] = told
