"""The Optuna study of a plan: its storage, what comes next, and how trials end.

Everything that a study must not forget lies in its storage, so that the same command goes on with
it after any end. One process leads a study; whoever calls holds its folder's lock. A trial that is
RUNNING when a command starts was therefore interrupted, and is continued as the same trial.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.params import DimensionParams, Params
from symbio.progress import say
from symbio.ranks.ending import RESUME_ME
from symbio.search.keys import changed
from symbio.search.plan import Cell, Plan
from symbio.train.fingerprint import changes as differences

if TYPE_CHECKING:
    import optuna

DATABASE = "optuna.db"
CHANGES, VARIANT, SEED, SECONDS, MESSAGE = "changes", "variant", "seed", "seconds", "message"
"""What trials carry as user attributes besides Optuna's own record."""
_RECIPE, _LOSSES = "recipe", "losses"

Train = Callable[["optuna.Trial", Params], float | None]
"""Trains one trial: its score, or None when it was told to stop and can go on. Raises SymbioError
where it fails and TrialPruned where it is not worth going on."""


def open_study(
    folder: Path, plan: Plan, recipe: Mapping[str, Any], higher_is_better: bool
) -> optuna.Study:
    """Open the study in `folder`, or begin it.

    Args:
        folder: of the study.
        plan: what it is made of.
        recipe: what must not change while it is under way, as JSON values.
        higher_is_better: of its metric.

    Raises:
        SymbioError: the study there was begun with another recipe; lists the differences.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    # SQLite, and not Optuna's journal file: a kill in the middle of a write leaves nothing torn.
    path = str(folder.resolve() / DATABASE).replace("%", "%25").replace("?", "%3F")
    study = optuna.create_study(
        study_name=plan.name,
        storage=optuna.storages.RDBStorage(f"sqlite:///{path}"),
        pruner=_pruner(plan),
        direction="maximize" if higher_is_better else "minimize",
        load_if_exists=True,
    )
    known = study.user_attrs.get(_RECIPE)
    if known is None:
        study.set_user_attr(_RECIPE, dict(recipe))
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


def is_complete(study: optuna.Study, plan: Plan) -> bool:
    """Whether every trial that the plan wants has ended."""
    trials = study.get_trials(deepcopy=False)
    if not all(trial.state.is_finished() for trial in trials):
        return False
    return _missing_cell(trials, plan) is None if plan.suite else len(trials) >= plan.trials


def conduct(
    study: optuna.Study,
    plan: Plan,
    train: Train,
    stopped: Callable[[], bool] = lambda: False,
    after: Callable[[], object] = lambda: None,
) -> bool:
    """Train trial after trial until the plan is complete.

    Args:
        study: from `open_study`.
        plan: what it is made of.
        train: trains one trial.
        stopped: asked before each trial.
        after: called after each trial that has ended.

    Returns:
        False if it was told to stop before; the same command goes on.

    Raises:
        SymbioError: a trial lost a process or a host, exit_code 75. It is continued by the same
            command; if it loses one again it counts as failed.
    """
    while not is_complete(study, plan):
        if stopped() or not _attempt(study, _next_trial(study, plan), plan, train):
            return False
        after()
    return True


def _next_trial(study: optuna.Study, plan: Plan) -> optuna.Trial:
    """The interrupted trial, or a new one; `is_complete` says that there is one."""
    import optuna

    trials = study.get_trials(deepcopy=False)
    under_way = [trial for trial in trials if trial.state == optuna.trial.TrialState.RUNNING]
    if under_way:
        study.sampler = _sampler(plan, under_way[0].number)
        return optuna.Trial(study, under_way[0]._trial_id)
    waiting = any(trial.state == optuna.trial.TrialState.WAITING for trial in trials)
    cell = _missing_cell(trials, plan)
    if cell is not None and not waiting:
        attributes = {VARIANT: cell.variant, SEED: cell.seed, CHANGES: cell.changes}
        study.enqueue_trial({}, user_attrs=attributes)
    study.sampler = _sampler(plan, len(trials))
    return study.ask()


def _missing_cell(trials: list[optuna.trial.FrozenTrial], plan: Plan) -> Cell | None:
    """The first cell of an ablation that has no trial."""
    there = {(trial.user_attrs.get(VARIANT), trial.user_attrs.get(SEED)) for trial in trials}
    missing = (cell for cell in plan.cells if (cell.variant, cell.seed) not in there)
    return next(missing, None)


def _attempt(study: optuna.Study, trial: optuna.Trial, plan: Plan, train: Train) -> bool:
    """Train one trial and tell the study how it ended; False if it did not."""
    import optuna
    from optuna.trial import TrialState

    begun = time.monotonic()
    score, message = None, None
    state = TrialState.COMPLETE
    try:
        changes = _changes(trial, plan)
        source = f"{plan.name}, trial {trial.number}"
        say(f"{source} ({plan.trials} in all): {_told(trial, changes)}")
        score = train(trial, changed(plan.params, changes, source))
        if score is None:
            return False
    except optuna.TrialPruned:
        state = TrialState.PRUNED
    except SymbioError as error:
        if error.exit_code == RESUME_ME and not trial.user_attrs.get(_LOSSES):
            trial.set_user_attr(_LOSSES, 1)
            raise
        state, message = TrialState.FAIL, str(error)
        trial.set_user_attr(MESSAGE, message)
    finally:
        spent = trial.user_attrs.get(SECONDS, 0.0) + time.monotonic() - begun
        trial.set_user_attr(SECONDS, round(spent, 2))
    study.tell(trial, score, state=state)
    ends = {TrialState.PRUNED: "pruned", TrialState.FAIL: f"failed: {message}"}
    say(f"{source}: {ends.get(state, f'score {score}')}")
    return True


def _changes(trial: optuna.Trial, plan: Plan) -> dict[str, Any]:
    """What the trial changes: known since it began, or drawn from the space."""
    known: dict[str, Any] | None = trial.user_attrs.get(CHANGES)
    if known is not None:
        return known
    space = plan.params.search.space
    drawn = {key: _suggest(trial, key, dimension) for key, dimension in space.items()}
    trial.set_user_attr(CHANGES, drawn)
    return drawn


def _suggest(trial: optuna.Trial, key: str, dimension: DimensionParams) -> Any:
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.type == "categorical":
        return trial.suggest_categorical(key, dimension.choices)
    assert low is not None
    assert high is not None
    if dimension.type == "int":
        return trial.suggest_int(key, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(key, low, high, step=step, log=log)


def _told(trial: optuna.Trial, changes: Mapping[str, Any]) -> str:
    variant = trial.user_attrs.get(VARIANT)
    if variant is not None:
        return f"{variant}, seed {trial.user_attrs[SEED]}"
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in changes.items()
    )


def _sampler(plan: Plan, number: int) -> optuna.samplers.BaseSampler:
    """A sampler for trial `number` alone.

    A sampler that is seeded once would draw its first trials again after each interruption.
    """
    import optuna

    text = f"{plan.params.seed}/{number}".encode()
    seed = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
    if plan.params.search.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    """An ablation's mean needs every training to its end."""
    import optuna

    if plan.suite is None and plan.params.search.pruner == "median":
        return optuna.pruners.MedianPruner()
    return optuna.pruners.NopPruner()
