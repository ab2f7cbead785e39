"""The params with which a study is tried before it starts: variants, or the ends of ranges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symbio.errors import SymbioError
from symbio.params import DimensionParams, Params
from symbio.search.conditions import check_conditions
from symbio.search.keys import check_key
from symbio.search.plan import Plan
from symbio.search.space import space_of

SPACE = "search.space"


def probes(plan: Plan) -> Iterator[tuple[str, Params]]:
    """Where a trial's changes are written, and params with them.

    Raises:
        SymbioError: a key names no parameter that a trial can change, the params refuse a value,
            a condition of the space never holds, the baseline is no variant.
    """
    section = "search" if plan.suite is None else f"ablations.{plan.suite}"
    for key in plan.base:
        check_key(key, plan.dataset, f"{section}.base (or {section}.on.{plan.dataset})")
    yield from _of_space(plan) if plan.suite is None else _of_suite(plan, section)


def _of_suite(plan: Plan, section: str) -> Iterator[tuple[str, Params]]:
    if "seed" in plan.base:
        raise SymbioError(f"{section}.base: seed comes from {section}.seeds")
    if plan.baseline not in plan.variants:
        raise SymbioError(
            f"{section}.baseline: no variant {plan.baseline!r}; there are "
            f"{', '.join(plan.variants)}"
        )
    for name, changes in plan.variants.items():
        source = f"{section}.variants.{name}"
        for key in changes:
            check_key(key, plan.dataset, source)
        if "seed" in changes:
            raise SymbioError(f"{source}: seed comes from {section}.seeds")
        yield source, plan.params_of(changes, source)


def _of_space(plan: Plan) -> Iterator[tuple[str, Params]]:
    for key, dimension in plan.params.search.space.items():
        check_key(key, plan.dataset, SPACE)
        if key in plan.base:
            raise SymbioError(
                f"{SPACE}: {key} is set for all trials in search.base (or search.on."
                f"{plan.dataset}); take it out of one of them"
            )
        for name in dimension.when:
            check_key(name, plan.dataset, f"{SPACE}: {key}: when")
    yield "search.base", plan.params_of({}, "search.base")
    space = space_of(plan)
    check_conditions(space)
    for key, dimension in space.dimensions.items():
        around = space.where_counts(key) or {}
        for value in _ends(dimension):
            source = f"{SPACE}: {key} = {value!r}"
            yield source, plan.params_of({**around, key: value}, source)


def _ends(dimension: DimensionParams) -> tuple[Any, ...]:
    if dimension.type == "categorical":
        return dimension.choices
    return dimension.low, dimension.high
