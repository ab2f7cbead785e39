"""Who draws the next trial of a search from its space.

tpe: learns from the scores which values are good, jointly (multivariate Tree-structured Parzen
Estimator, Bergstra et al., NIPS 2011; Falkner et al., ICML 2018), and keeps away from trials that
other workers are training. cmaes: moves a normal distribution towards good scores (Hansen, 2016);
for ranges of numbers and a few dozen trials at least. qmc: fills the space evenly (scrambled Sobol
points), whatever the scores. grid: every point of a finite space once, in an even order. random.

A trial's number and the project's seed decide its draw (with tpe and cmaes also the scores before
it), never who draws it: an interrupted study has the same trials as one that ran on.
"""

from __future__ import annotations

import hashlib
import warnings
from itertools import islice
from typing import TYPE_CHECKING, Any

from symbio.data.draws import rng_for
from symbio.errors import SymbioError
from symbio.search.dimension import at, values_of
from symbio.search.space import Space, default_values, space_of

if TYPE_CHECKING:
    import optuna

    from symbio.search.plan import Plan

_MOST_POINTS = 10_000
"""Of a grid. Nobody trains as often, and each draw lays the grid out."""


def sampler_for(plan: Plan, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of trial `number` of a search, and of it alone.

    A sampler that is seeded once would draw its first trials again after each interruption.
    Trial 0 gets the project's own values (`symbio.search.space.default_values`).

    Raises:
        SymbioError: the grid has no point of that number.
    """
    import optuna

    seed = _seed(plan, number)
    uniform = optuna.samplers.RandomSampler(seed=seed)
    kind = plan.params.search.sampler
    if plan.suite is not None:
        return uniform
    if number == 0:
        return _fixed(default_values(plan), uniform)
    space = space_of(plan)
    if kind == "qmc":
        return _fixed(_sobol_point(space, plan.params.seed, number - 1), uniform)
    if kind == "grid":
        points = grid_points(plan)
        if number > len(points):
            raise SymbioError(f"search.trials: the grid of search.space has no point {number}")
        return _fixed(points[number - 1], uniform)
    if kind == "tpe":
        return _tpe(space, plan, seed)
    if kind == "cmaes":
        return _cmaes(plan, seed)
    return uniform


def check_sampler(plan: Plan) -> None:
    """Check that the sampler of a search can draw from its space.

    Raises:
        SymbioError: a grid without finite values or with fewer points than trials; CMA-ES on
            anything but two or more ranges of numbers, of one objective.
    """
    kind = plan.params.search.sampler
    if kind == "grid":
        _check_grid(plan)
    if kind == "cmaes":
        _check_cmaes(plan)


def grid_points(plan: Plan) -> list[dict[str, Any]]:
    """Every point of a finite space but the project's own, which is trial 0.

    In an order drawn by the project's seed, so that a part of the grid is spread over all of it.
    """
    own = default_values(plan)
    points = [point for point in islice(space_of(plan).points(), _MOST_POINTS + 1) if point != own]
    order = rng_for(plan.params.seed, "search grid").permutation(len(points))
    return [points[index] for index in order]


def _check_grid(plan: Plan) -> None:
    for key, dimension in space_of(plan).dimensions.items():
        if values_of(dimension) is None:
            raise SymbioError(
                f"search.space: a grid needs finitely many values, but {key} is a range without "
                "step; give it a step or choices, or take another sampler"
            )
    count = len(grid_points(plan))
    if count >= _MOST_POINTS:
        raise SymbioError(
            f"search.space: a grid has at most {_MOST_POINTS} points; give fewer values, or take "
            "the sampler qmc, which spreads the trials evenly over any space"
        )
    if plan.trials > count + 1:
        raise SymbioError(
            f"search.trials ({plan.trials}): the grid has only {count} points besides the "
            f"project's own params, so {count + 1} trials"
        )


def _check_cmaes(plan: Plan) -> None:
    if len(plan.params.search.objectives) > 1:
        raise SymbioError(
            "search.sampler: cmaes optimises one objective; take tpe, qmc or random for several"
        )
    space = space_of(plan)
    default = default_values(plan)
    for key, dimension in space.dimensions.items():
        # Of all these Optuna would silently draw at random.
        if dimension.type == "categorical" or dimension.when:
            what = "has a condition" if dimension.when else "is categorical"
            raise SymbioError(
                f"search.sampler: cmaes needs ranges of numbers that always count, but {key} "
                f"{what}; take tpe"
            )
        if key not in default:
            raise SymbioError(
                f"search.sampler: cmaes needs the project's own value of {key} "
                f"({space.own[key]!r}) in its range; widen it, or take tpe"
            )
    if len(space.dimensions) < 2:
        raise SymbioError("search.sampler: cmaes needs two parameters or more; take tpe or qmc")


def _seed(plan: Plan, number: int) -> int:
    text = f"{plan.params.seed}/{number}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def _tpe(space: Space, plan: Plan, seed: int) -> optuna.samplers.BaseSampler:
    import optuna

    # Without groups, what some trials do not draw would be left out of the joint estimate.
    grouped = space.is_conditional or len(default_values(plan)) < len(space.dimensions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed,
            # Of several objectives Optuna estimates each parameter for itself, unless grouped.
            multivariate=True if grouped else None,
            group=grouped,
            constant_liar=True,
        )


def _cmaes(plan: Plan, seed: int) -> optuna.samplers.BaseSampler:
    import optuna

    # Successive halving ends most trials: without them a generation would hardly ever be full.
    halving = plan.params.search.pruner in ("asha", "hyperband")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.CmaEsSampler(
            seed=seed, consider_pruned_trials=halving, warn_independent_sampling=False
        )


def _fixed(
    values: dict[str, Any], others: optuna.samplers.BaseSampler
) -> optuna.samplers.BaseSampler:
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.PartialFixedSampler(values, others)


def _sobol_point(space: Space, seed: int, index: int) -> dict[str, Any]:
    """Point `index` of a scrambled Sobol sequence over all dimensions, one coordinate each.

    Optuna's own counts its points in the storage: two workers can get one point, and an
    interrupted trial another one.
    """
    from scipy.stats.qmc import Sobol

    scramble = int(rng_for(seed, "search qmc").integers(2**32))
    sequence = Sobol(len(space.dimensions), rng=scramble)
    if index:
        sequence.fast_forward(index)
    coordinates = dict(zip(space.dimensions, sequence.random(1)[0].tolist(), strict=True))
    return space.chosen(lambda key, dimension: at(dimension, coordinates[key]))
