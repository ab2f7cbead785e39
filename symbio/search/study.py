"""The Optuna study of a plan: what comes next, and how trials end.

Everything that a study must not forget lies in its storage, so that the same command goes on with
it after any end. Workers take trials in turn (`symbio.search.turn`); which trial is whose is said
by claims. An interrupted trial is continued as the same trial: nothing is lost or counted twice.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.progress import say
from symbio.ranks.ending import MISTAKE, OutOfMemory
from symbio.search.attributes import (
    CHANGES,
    CLAIM,
    DEFAULT,
    INFEASIBLE,
    LOSSES,
    MESSAGE,
    PEAK_BYTES,
    RANK_SECONDS,
    RECIPE,
    SECONDS,
    SEED,
    VARIANT,
)
from symbio.search.claims import Beat, Claimant, give_back
from symbio.search.objectives import Objective
from symbio.search.plan import Cell, Plan
from symbio.search.pruners import pruner_for
from symbio.search.samplers import sampler_for
from symbio.search.space import draw
from symbio.search.storage import experiments, open_storage, patiently
from symbio.search.turn import Turn
from symbio.train.fingerprint import changes as differences

if TYPE_CHECKING:
    import optuna

MOST_LOSSES = 3
"""Starts of a trial that may be lost; with one more it counts as failed."""

_POLL_S = 1.0

Train = Callable[["optuna.Trial", Params, Beat], Sequence[float] | None]
"""Trains one trial: its score by each objective, or None when it was told to stop and can go on.
Raises SymbioError where it fails, OutOfMemory, and TrialPruned where it is not worth going on."""


def open_study(
    folder: Path, plan: Plan, recipe: Mapping[str, Any], objectives: Sequence[Objective]
) -> optuna.Study:
    """The study of a plan, made where it is not there.

    Raises:
        SymbioError: the study was made with other params, data or questions; lists them.
    """
    import optuna

    study = optuna.create_study(
        study_name=plan.name,
        storage=patiently(lambda: open_storage(folder)),
        pruner=pruner_for(plan),
        directions=["maximize" if one.higher_is_better else "minimize" for one in objectives],
        load_if_exists=True,
    )
    known = study.user_attrs.get(RECIPE)
    if known is None:
        study.set_user_attr(RECIPE, dict(recipe))
        with experiments():
            study.set_metric_names([one.metric for one in objectives])
        return study
    # A variant that is new, or gone, changes no trial that was made.
    both = known.keys() & recipe.keys()
    found = differences({key: known[key] for key in both}, {key: recipe[key] for key in both})
    if found:
        raise SymbioError(
            f"{folder}: holds a study with other parameters or data, with which new trials cannot "
            "be compared; give this one a name (--study), or remove the folder:\n  "
            + "\n  ".join(found)
        )
    return study


def opened_study(folder: Path, plan: Plan) -> optuna.Study:
    """The study of a plan, which `open_study` has made."""
    import optuna

    storage = patiently(lambda: open_storage(folder))
    return patiently(
        lambda: optuna.load_study(study_name=plan.name, storage=storage, pruner=pruner_for(plan))
    )


def is_complete(study: optuna.Study, plan: Plan) -> bool:
    """Whether every trial that the plan wants has ended."""
    trials = study.get_trials(deepcopy=False)
    return all(trial.state.is_finished() for trial in trials) and _is_spent(trials, plan)


def work(
    study: optuna.Study,
    plan: Plan,
    train: Train,
    turn: Turn,
    stopped: Callable[[], bool] = lambda: False,
    after: Callable[[int], object] = lambda number: None,
    ranks: int = 1,
) -> bool:
    """Be a worker: train trial after trial until the plan is complete.

    Args:
        study: from `open_study`.
        plan: what it is made of.
        train: trains one trial.
        turn: of the study.
        stopped: asked before each trial.
        after: called with the number of each trial that has ended here.
        ranks: that a trial keeps busy, for its cost.

    Returns:
        False if it was told to stop before; the same command goes on.

    Raises:
        SymbioError: the database stayed away, exit_code 75.
    """
    me = Claimant()
    while not stopped():
        trial = patiently(lambda: _take(study, plan, turn, me), me.lost_the_database)
        if trial is not None:
            with Beat(me, trial) as beat:
                ended = _attempt(trial, plan, train, beat, me, ranks)
            if ended is None:
                return False
            if ended:
                after(trial.number)
        elif patiently(lambda: is_complete(study, plan), me.lost_the_database):
            return True
        else:
            time.sleep(_POLL_S)  # others still train; theirs may become free
    return False


def _take(study: optuna.Study, plan: Plan, turn: Turn, me: Claimant) -> optuna.Trial | None:
    """Claim the first trial that nobody trains, or a new one; None if there is neither."""
    import optuna

    with turn():
        free, trials = me.free(study), study.get_trials(deepcopy=False)
        if free:
            study.sampler = sampler_for(plan, free[0])
            trial = optuna.Trial(study, trials[free[0]]._trial_id)
        elif _is_spent(trials, plan):
            return None
        else:
            trial = _new_trial(study, plan, trials)
        if plan.suite is None and CLAIM not in trial.user_attrs:
            # New, or its worker died while it drew: what was drawn stands, and the rest is drawn.
            changes = draw(trial, plan)
            if CHANGES not in trial.user_attrs:
                trial.set_user_attr(CHANGES, changes)
        me.claim(trial)
        return trial


def _new_trial(
    study: optuna.Study, plan: Plan, trials: Sequence[optuna.trial.FrozenTrial]
) -> optuna.Trial:
    if not any(trial.state.name == "WAITING" for trial in trials):
        cell = _missing_cell(trials, plan)
        if cell is not None:
            attributes = {VARIANT: cell.variant, SEED: cell.seed, CHANGES: cell.changes}
            study.enqueue_trial({}, user_attrs=attributes)
        elif not trials:
            attributes = {VARIANT: DEFAULT, CHANGES: {}}
            study.enqueue_trial({}, user_attrs=attributes)
    study.sampler = sampler_for(plan, len(trials))
    with experiments():
        return study.ask()


def _is_spent(trials: Sequence[optuna.trial.FrozenTrial], plan: Plan) -> bool:
    """Whether no new trial may begin."""
    if any(trial.state.name == "WAITING" for trial in trials):
        return False  # a worker died between announcing it and taking it
    if plan.suite is not None:
        return _missing_cell(trials, plan) is None
    hours, spent = plan.params.search.hours, sum(t.user_attrs.get(SECONDS, 0.0) for t in trials)
    if hours is not None and spent >= hours * 3600:
        return True
    return len(trials) >= plan.trials


def _missing_cell(trials: Sequence[optuna.trial.FrozenTrial], plan: Plan) -> Cell | None:
    """The first cell of an ablation that has no trial."""
    there = {(trial.user_attrs.get(VARIANT), trial.user_attrs.get(SEED)) for trial in trials}
    missing = (cell for cell in plan.cells if (cell.variant, cell.seed) not in there)
    return next(missing, None)


def _attempt(
    trial: optuna.Trial, plan: Plan, train: Train, beat: Beat, me: Claimant, ranks: int
) -> bool | None:
    """Train one trial and tell the study; whether it ended, None if the worker is to stop."""
    import optuna
    from optuna.trial import TrialState

    attributes: dict[str, Any] = {}
    values: Sequence[float] | None = None
    state: TrialState | None = None
    stopped, begun = False, time.monotonic()
    before = trial.user_attrs
    try:
        source = f"{plan.name}, trial {trial.number}"
        say(f"{source} of {plan.trials}: {_told(before)}")
        values = train(trial, plan.params_of(before[CHANGES], "its params"), beat)
        state = None if values is None else TrialState.COMPLETE
        stopped = values is None
        if values is not None and not all(map(math.isfinite, values)):
            raise SymbioError(
                f"the exported network has no finite score on the val split: {values}"
            )
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except OutOfMemory as error:
        state, attributes = TrialState.PRUNED, {MESSAGE: str(error), PEAK_BYTES: error.peak_bytes}
        patiently(lambda: trial.set_constraint(INFEASIBLE, 1.0))
    except SymbioError as error:
        values, losses = None, before.get(LOSSES, 0) + 1
        attributes = {MESSAGE: str(error)}
        if error.exit_code == MISTAKE or losses > MOST_LOSSES:
            state = TrialState.FAIL
        elif not beat.taken_away:
            attributes[LOSSES] = losses
    if beat.taken_away:
        say(f"{source}: another worker has it now")
        return False
    spent = time.monotonic() - begun
    attributes[SECONDS] = round(before.get(SECONDS, 0.0) + spent, 2)
    attributes[RANK_SECONDS] = round(before.get(RANK_SECONDS, 0.0) + spent * ranks, 2)
    patiently(lambda: _end(trial, state, values, attributes), me.lost_the_database)
    say(f"{source}: {_ending(state, values, attributes)}")
    return None if stopped else state is not None


def _end(
    trial: optuna.Trial,
    state: optuna.trial.TrialState | None,
    values: Sequence[float] | None,
    attributes: Mapping[str, Any],
) -> None:
    """Tell the storage how a trial ended, or that it is to be continued (None). May be repeated."""
    import optuna

    # Finished already: it was told before the database went away.
    with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        if state is None:
            give_back(trial)
        else:
            scores = None if values is None else list(values)
            trial.study.tell(trial, scores, state=state, skip_if_finished=True)


def _ending(
    state: optuna.trial.TrialState | None,
    values: Sequence[float] | None,
    attributes: Mapping[str, Any],
) -> str:
    if state is None:
        reason = attributes.get(MESSAGE)
        return "stopped" if reason is None else f"will be continued: {reason}"
    if values is not None:
        return "score " + ", ".join(f"{value:.5g}" for value in values)
    if PEAK_BYTES in attributes:
        return f"infeasible: {attributes[MESSAGE]}"
    return f"failed: {attributes[MESSAGE]}" if MESSAGE in attributes else "pruned"


def _told(attributes: Mapping[str, Any]) -> str:
    variant, changes = attributes.get(VARIANT), attributes[CHANGES]
    if variant == DEFAULT:
        return "the project's own params"
    if variant is not None:
        return f"{variant}, seed {attributes[SEED]}"
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in changes.items()
    )
