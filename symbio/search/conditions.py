"""Conditions (`when`) of a search's space that can never hold, told before the first trial."""

from __future__ import annotations

from typing import Any

from symbio.errors import SymbioError
from symbio.search.dimension import values_of
from symbio.search.space import Space


def check_conditions(space: Space) -> None:
    """Check that each condition can hold.

    Raises:
        SymbioError: a condition asks for a value that its parameter never has, or for one number
            of a range that has no steps, or its parts never hold together.
    """
    for key, dimension in space.dimensions.items():
        for name, allowed in dimension.when.items():
            where, values = f"search.space: {key}: when {name}", _values(space, name)
            if values is None:
                raise SymbioError(
                    f"{where}: a number of a range without step is met by chance at most; give "
                    f"{name} a step, or leave the condition out"
                )
            never = [value for value in allowed if value not in values]
            # Of a parameter that is the same in all trials, the others may be for another day.
            if len(never) == len(allowed) or (never and name in space.dimensions):
                raise SymbioError(
                    f"{where}: it is never {never[0]!r}, but {_listed(values)}; correct the value, "
                    f"or give {name} more in search.space"
                )
        if space.where_counts(key) is None:
            raise SymbioError(
                f"search.space: {key}: when: no trial meets {', '.join(dimension.when)} together, "
                f"so {key} would never be drawn; correct the values"
            )


def _values(space: Space, key: str) -> tuple[Any, ...] | None:
    """All values that a parameter has in some trial; None: endlessly many."""
    dimension = space.dimensions.get(key)
    if dimension is None:
        return (space.own[key],)
    values = values_of(dimension)
    if values is None or not dimension.when or space.own[key] in values:
        return values
    # Where it is not drawn it keeps its own.
    return (*values, space.own[key])


def _listed(values: tuple[Any, ...]) -> str:
    shown = ", ".join(repr(value) for value in values[:8])
    return f"{shown}, ..." if len(values) > 8 else shown
