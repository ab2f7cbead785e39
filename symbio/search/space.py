"""The space of a search: which parameters a trial draws, from which values, and when.

A parameter with a condition (`when`) is drawn only in trials in which it counts: where each
parameter that the condition names has one of the values listed. What a trial does not draw keeps
its own value: that of the project, or of `search.base`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symbio.errors import SymbioError
from symbio.params import DimensionParams
from symbio.search.dimension import contains, suggest, values_of
from symbio.search.keys import value_at

if TYPE_CHECKING:
    import optuna

    from symbio.search.plan import Plan


@dataclass(frozen=True, slots=True)
class Space:
    """The dimensions of a search, and what they are where nothing is drawn."""

    dimensions: dict[str, DimensionParams]
    """By dotted key; a parameter stands after those that its condition names."""
    own: dict[str, Any]
    """What all trials begin with, for each dimension and each key of a condition."""

    @property
    def is_conditional(self) -> bool:
        """Whether some trials draw fewer parameters than others."""
        return any(dimension.when for dimension in self.dimensions.values())

    def chosen(self, choose: Callable[[str, DimensionParams], Any]) -> dict[str, Any]:
        """What one trial draws.

        Args:
            choose: gives a value for one dimension; asked in order, and only where it counts.
        """
        values, found = dict(self.own), {}
        for key, dimension in self.dimensions.items():
            if _counts(dimension, values):
                values[key] = found[key] = choose(key, dimension)
        return found

    def points(self) -> Iterator[dict[str, Any]]:
        """Each trial that can be drawn, once. Dimensions without finite values are left out."""
        finite = {key: values_of(dimension) for key, dimension in self.dimensions.items()}
        yield from self._points([key for key, values in finite.items() if values], dict(self.own))

    def _points(self, keys: list[str], values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not keys:
            yield {}
            return
        key, *others = keys
        dimension = self.dimensions[key]
        if not _counts(dimension, values):
            yield from self._points(others, values)
            return
        for value in values_of(dimension) or ():
            for point in self._points(others, {**values, key: value}):
                yield {key: value, **point}

    def where_counts(self, key: str) -> dict[str, Any] | None:
        """What a trial can draw for `key` to count, as few others as possible; None: it never does.

        What is not named keeps its own value.
        """
        dimension = self.dimensions[key]
        points = self._above(key).points()
        return next((p for p in points if _counts(dimension, {**self.own, **p})), None)

    def _above(self, key: str) -> Space:
        """The dimensions on which that of `key` depends."""
        wanted, found = [*self.dimensions[key].when], set[str]()
        while wanted:
            name = wanted.pop()
            if name in self.dimensions and name not in found:
                found.add(name)
                wanted += self.dimensions[name].when
        kept = {name: each for name, each in self.dimensions.items() if name in found}
        return Space(kept, self.own)


def space_of(plan: Plan) -> Space:
    """The space of a search.

    Raises:
        SymbioError: a key names no parameter, or conditions depend on each other in a circle.
    """
    dimensions = _in_order(plan.params.search.space)
    params = plan.params_of({}, "search.base")
    named = [*dimensions, *(key for each in dimensions.values() for key in each.when)]
    return Space(dimensions, {key: value_at(params, key) for key in named})


def draw(trial: optuna.Trial, plan: Plan) -> dict[str, Any]:
    """What a trial of a search changes: dotted key -> value, of the space alone.

    To be called once for every trial, since it is how the study learns where the trial stands.
    Trial 0 has the project's own values and changes nothing.
    """
    space = space_of(plan)
    if trial.number == 0:
        for key in default_values(plan):
            suggest(trial, key, space.dimensions[key])
        return {}
    return space.chosen(lambda key, dimension: suggest(trial, key, dimension))


def default_values(plan: Plan) -> dict[str, Any]:
    """The project's own values: of every key that counts with them and whose dimension has it."""
    space = space_of(plan)
    own = space.chosen(lambda key, _: space.own[key])
    return {key: value for key, value in own.items() if contains(space.dimensions[key], value)}


def _counts(dimension: DimensionParams, values: Mapping[str, Any]) -> bool:
    return all(values[key] in allowed for key, allowed in dimension.when.items())


def _in_order(space: Mapping[str, DimensionParams]) -> dict[str, DimensionParams]:
    """The same dimensions, each after those that its condition names."""
    found: dict[str, DimensionParams] = {}
    while len(found) < len(space):
        ready = [
            key
            for key, dimension in space.items()
            if key not in found and all(name in found for name in dimension.when if name in space)
        ]
        if not ready:
            circle = ", ".join(key for key in space if key not in found)
            raise SymbioError(
                f"search.space: the conditions of {circle} depend on each other in a circle; "
                "let one of them be drawn always (without `when`)"
            )
        found[ready[0]] = space[ready[0]]
    return found
