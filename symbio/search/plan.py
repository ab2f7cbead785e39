"""What a study is made of: a sampled space (search), or variants and seeds (ablate)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from symbio.errors import SymbioError
from symbio.params import Params
from symbio.search.keys import changed


@dataclass(frozen=True, slots=True)
class Cell:
    """One training of an ablation."""

    variant: str
    seed: int
    changes: dict[str, Any]
    """Dotted key -> value: the variant's and the seed, without the suite's base."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A study before it is looked at: pure params."""

    verb: Literal["search", "ablate"]
    name: str
    """Of the study and of its folder below searches/."""
    dataset: str
    params: Params
    trials: int
    """Trials in all."""
    suite: str | None = None
    """Of an ablation."""

    @property
    def base(self) -> dict[str, Any]:
        """Changes that all trials have in common, those for the data set included."""
        if self.suite is None:
            search = self.params.search
            return {**search.base, **search.on.get(self.dataset, {})}
        suite = self.params.ablations[self.suite]
        return {**suite.base, **suite.on_dataset(self.dataset).base}

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Of an ablation: name -> changes, those for the data set included; of a search none."""
        if self.suite is None:
            return {}
        suite = self.params.ablations[self.suite]
        here = suite.on_dataset(self.dataset).variants
        names = dict.fromkeys((*suite.variants, *here))
        return {name: {**suite.variants.get(name, {}), **here.get(name, {})} for name in names}

    @property
    def baseline(self) -> str | None:
        """The variant of an ablation that the others are compared with; None for a search."""
        if self.suite is None:
            return None
        suite = self.params.ablations[self.suite]
        return suite.baseline or next(iter(suite.variants))

    @property
    def cells(self) -> list[Cell]:
        """The trials of an ablation: a whole round of variants for each seed, one after another."""
        if self.suite is None:
            return []
        return [
            Cell(variant, seed, {**changes, "seed": seed})
            for seed in self.params.ablations[self.suite].seeds
            for variant, changes in self.variants.items()
        ]

    def params_of(self, changes: Mapping[str, Any], source: str) -> Params:
        """What a trial trains with: the project's params, over them `base`, then its changes.

        Args:
            changes: the trial's own, dotted key -> value.
            source: names the changes in messages.

        Raises:
            SymbioError: the params refuse a value, or values contradict each other.
        """
        return changed(self.params, {**self.base, **changes}, source)

    @property
    def title(self) -> str:
        """The command that runs it."""
        return " ".join(filter(None, ("symbio", self.verb, self.dataset, self.suite)))


def search_plan(
    params: Params, dataset: str, trials: int | None = None, name: str | None = None
) -> Plan:
    """The search that the section `search` describes.

    Args:
        params: of the project.
        dataset: nyu, kitti or a key of `custom`.
        trials: in all, instead of `search.trials`.
        name: of the study; None: the data set's.

    Raises:
        SymbioError: there is nothing to search in, or a number or name is malformed.
    """
    if not params.search.space:
        raise SymbioError("search.space: is empty; name a parameter and its range (docs/search.md)")
    if trials is not None and trials < 1:
        raise SymbioError(f"--trials {trials}: give a whole number, 1 or more")
    count = params.search.trials if trials is None else trials
    return Plan("search", _study_name(name or dataset), dataset, params, count)


def ablation_plan(params: Params, dataset: str, suite: str, name: str | None = None) -> Plan:
    """The ablation that `ablations.{suite}` describes.

    Raises:
        SymbioError: there is no such suite, or a name is malformed.
    """
    if suite not in params.ablations:
        there = ", ".join(params.ablations) or "none"
        raise SymbioError(f"ablations: no suite {suite!r} in params.yaml; there are: {there}")
    study = _study_name(name or f"{dataset}-{suite}")
    plan = Plan("ablate", study, dataset, params, trials=0, suite=suite)
    return replace(plan, trials=len(plan.cells))


def _study_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise SymbioError(
            f"study {name!r}: becomes a folder's name, so give letters, digits, '.', '_' and '-'"
        )
    return name
