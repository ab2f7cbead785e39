"""By which validation scores the trials of a study are compared."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symbio.errors import SymbioError
from symbio.params import Params

if TYPE_CHECKING:
    from symbio.search.plan import Plan

_AGAINST_THE_TEACHER = ("miou", "pixel_accuracy")


@dataclass(frozen=True, slots=True)
class Objective:
    """A score of the exported network on the val split."""

    metric: str
    """As validation writes it, e.g. abs_rel or pseudo_miou."""
    higher_is_better: bool


def objectives_of(plan: Plan) -> list[Objective]:
    """The objectives of a study, in the order of params.yaml; the first one leads.

    Raises:
        SymbioError: validation gives no such score; lists those that there are.
    """
    from symbio.evaluate.metrics import metric_named
    from symbio.evaluate.protocol import protocol_named
    from symbio.train.validate import resolved

    protocol = protocol_named(plan.params.dataset(plan.dataset).protocol)
    known = [*protocol.metrics, *_AGAINST_THE_TEACHER]
    found = []
    for name in plan.params.search.objectives:
        if name not in known:
            raise SymbioError(
                f"search.objectives: validation gives no {name!r}; there are {', '.join(known)}"
            )
        metric = resolved(name)
        found.append(Objective(metric, metric_named(metric).higher_is_better))
    return found


def check_comparable(objectives: list[Objective], drawn: Collection[str]) -> None:
    """Check that an objective means the same in trials that differ in the parameters `drawn`.

    Raises:
        SymbioError: it is a score over classes, and trials predict different ones.
    """
    if "labels.space" in drawn and _of_semantics(objectives):
        raise SymbioError(
            f"search.objectives: {_of_semantics(objectives)[0]} over the classes of one label "
            "space says nothing beside that of another; take labels.space out of search.space, or "
            "an objective of depth"
        )


def check_reported(objectives: list[Objective], params: Params) -> None:
    """Check that a training with `params` gives every objective.

    Raises:
        SymbioError: an objective is a score of semantics, which this training does not learn.
    """
    lacks = [
        *(["model.semantics is false"] if not params.model.semantics else []),
        *(["labels.share is 0"] if params.labels.share == 0 else []),
    ]
    if lacks and _of_semantics(objectives):
        raise SymbioError(
            f"search.objectives: no {_of_semantics(objectives)[0]} can come of a training without "
            f"semantics ({' and '.join(lacks)}); take an objective of depth, or train semantics"
        )


def _of_semantics(objectives: list[Objective]) -> list[str]:
    names = [objective.metric for objective in objectives]
    return [name.removeprefix("pseudo_") for name in names if name.startswith("pseudo_")]
