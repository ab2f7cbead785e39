"""Who ends the trainings of a search that fall behind, by their validations' first objective.

asha: at the first validation, and each time that three times as many steps are done, only the best
third of the trials that came so far go on (asynchronous successive halving, Li et al., MLSys 2020,
with Optuna's rule that among the first two the better one does). hyperband: the same with several
such ladders beside each other, of which some begin later, so that trainings that are slow at first
get a chance (Li et al., JMLR 2018). median: a training ends when its best validation so far is
worse than the median of the finished trials' at that step; from the sixth trial on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.search.space import space_of

if TYPE_CHECKING:
    import optuna

    from symbio.search.plan import Plan

_REDUCTION = 3
"""One of so many goes on; then so many times the steps."""
_SCHEDULE = ("train.steps", "train.validate_every")
"""What has to be the same in all trials."""


def pruner_for(plan: Plan) -> optuna.pruners.BasePruner:
    """The pruner of a study; of an ablation none, since its means need every training's end."""
    import optuna

    kind = plan.params.search.pruner
    if plan.suite is not None or kind == "none":
        return optuna.pruners.NopPruner()
    if kind == "median":
        return optuna.pruners.MedianPruner()
    train = plan.params_of({}, "search.base").train
    if kind == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=train.validate_every, reduction_factor=_REDUCTION
        )
    return optuna.pruners.HyperbandPruner(
        min_resource=train.validate_every,
        max_resource=train.steps,
        reduction_factor=_REDUCTION,
    )


def check_pruner(plan: Plan) -> None:
    """Check that the pruner of a search has something to compare.

    Raises:
        SymbioError: no training is validated before its end, or trials at different steps.
    """
    kind = plan.params.search.pruner
    if kind == "none":
        return
    train = plan.params_of({}, "search.base").train
    varied = [key for key in space_of(plan).dimensions if key in _SCHEDULE]
    if varied:
        raise SymbioError(
            f"search.pruner: {kind} compares trials at the same steps of equally long trainings, "
            f"but {' and '.join(varied)} differ from trial to trial; give pruner: none, or take "
            "them out of search.space"
        )
    if train.validate_every >= train.steps:
        raise SymbioError(
            f"search.pruner: {kind} needs validations before the end, but train.validate_every "
            f"({train.validate_every}) is not below train.steps ({train.steps}); set it in "
            "search.base, or give pruner: none"
        )
