"""Like with like: the newest measurements of all subjects that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbio.compare.subject import Subject
from symbio.errors import SymbioError
from symbio.evaluate.protocol import require_same_measurement
from symbio.tracking.measurements import Measurement


@dataclass(frozen=True, slots=True)
class Alike:
    """One measurement of each subject."""

    measurements: list[Measurement]
    classes: bool
    """Whether classes were scored alike too, and not depth alone."""


def measured_alike(subjects: Sequence[Subject]) -> Alike:
    """Choose a measurement of each, all like the same one of the first.

    Where classes were scored in different label spaces, depth is still compared.

    Raises:
        SymbioError: they are of several data sets, or were not measured alike; names what differs.
    """
    first, *others = subjects
    for other in others:
        if other.dataset != first.dataset:
            raise SymbioError(
                f"{first.uri} is of {first.dataset}, {other.uri} of {other.dataset}: networks of "
                "different data sets cannot be compared"
            )
    for classes in (True, False):
        told: SymbioError | None = None
        for mine in first.measurements:
            try:
                theirs = [_like(first, mine, other, classes) for other in others]
            except SymbioError as error:
                told = told or error
            else:
                return Alike([mine, *theirs], classes)
    assert told is not None
    measure = " and ".join(
        f"`symbio evaluate {one.dataset} --model {one.version.uri}`"
        for one in subjects
        if one.version is not None
    )
    advice = f"; measure them on what is prepared here: {measure}" if measure else ""
    raise SymbioError(f"{told}{advice}")


def _like(first: Subject, mine: Measurement, other: Subject, classes: bool) -> Measurement:
    told: SymbioError | None = None
    for theirs in other.measurements:
        try:
            what = f"{first.uri} and {other.uri}"
            require_same_measurement(mine.metrics, theirs.metrics, what, classes)
        except SymbioError as error:
            # That of the newest is the one to tell.
            told = told or error
        else:
            return theirs
    assert told is not None
    raise told
