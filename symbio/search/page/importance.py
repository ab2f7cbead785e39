"""Which parameters of a search mattered, as far as its trials can tell.

Importance is that of PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023, as Optuna has it, with
conditional parameters): how much a parameter's values tell the best tenth of the finished trials,
five at least, from all of them; as a share of 1. Of several objectives the best are those nearest
the front. It says nothing of direction.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from symbio.search.attributes import DEFAULT, VARIANT
from symbio.search.page.svg import BLUE, INK, Canvas, Scale, number, x_axis

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from symbio.search.objectives import Objective

Direction = Literal["minimize", "maximize"]

ENOUGH = 10
"""Finished trials below which nothing is said."""

_TOP_SHARE, _TOP_TRIALS = 0.1, 5
_GROUPS = 20
_LINE = 26


@dataclass(frozen=True, slots=True)
class Importance:
    """Of one parameter."""

    key: str
    share: float
    """Of 1, over all parameters of the space."""
    low: float
    high: float
    """The least and the most that it is with some of the trials left out."""


def importances_of(
    trials: Sequence[FrozenTrial], objectives: Sequence[Objective]
) -> list[Importance]:
    """The parameters from the most to the least important; empty below `ENOUGH` trials.

    Trials are left out in turn, in at most 20 groups: where that moves a share far, the trials
    are too few for it.
    """
    # The project's own params were not drawn, and may lie outside the space.
    trials = [
        trial
        for trial in trials
        if trial.state.name == "COMPLETE" and trial.user_attrs.get(VARIANT) != DEFAULT
    ]
    directions: list[Direction] = [
        "maximize" if one.higher_is_better else "minimize" for one in objectives
    ]
    keys = sorted({key for trial in trials for key in trial.params})
    if len(trials) < ENOUGH or not keys:
        return []
    whole = _shares(trials, directions, keys)
    groups = min(_GROUPS, len(trials))
    rest = [[t for n, t in enumerate(trials) if n % groups != left] for left in range(groups)]
    partly = [_shares(some, directions, keys) for some in rest]
    found = [
        Importance(
            key, whole[key], min(one[key] for one in partly), max(one[key] for one in partly)
        )
        for key in keys
    ]
    return sorted(found, key=lambda one: -one.share)


def importance(found: Sequence[Importance]) -> str:
    """A bar for each parameter, with a line over the shares that it has with trials left out."""
    canvas = Canvas(760, len(found) * _LINE + 60)
    x = Scale(0.0, 1.0, 230, 740)
    x_axis(canvas, x, len(found) * _LINE + 14, 4, "share of the importance")
    for place, one in enumerate(found):
        y = 10 + place * _LINE
        told = f"{one.key}: {number(one.share)}, from {number(one.low)} to {number(one.high)}"
        canvas.text(222, y + 13, one.key, "end")
        canvas.box(x.start, y, x.at(one.share) - x.start, 16, BLUE, told)
        canvas.line([(x.at(one.low), y + 8), (x.at(one.high), y + 8)], INK, 2, told=told)
    return canvas.svg()


def _shares(
    trials: Sequence[FrozenTrial], directions: Sequence[Direction], keys: Sequence[str]
) -> dict[str, float]:
    """Key -> share of 1; 0 for a key that none of these trials has."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    part = optuna.create_study(directions=directions)
    part.add_trials(trials)
    evaluator = PedAnovaImportanceEvaluator(
        target_quantile=max(_TOP_SHARE, _TOP_TRIALS / len(trials))
    )
    with warnings.catch_warnings():
        # Of conditions that hold in one trial alone; the range with trials left out shows it.
        warnings.simplefilter("ignore")
        # Without a target it goes by the study's own directions, or by the front.
        found = optuna.importance.get_param_importances(part, evaluator=evaluator)
    return {key: float(found.get(key, 0.0)) for key in keys}
