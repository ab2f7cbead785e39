"""What came of making a stage again, and what that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Self

from symbio.reproduce.objects import Difference
from symbio.reproduce.retrained import Parted
from symbio.reproduce.scores import DIFFERENT, IDENTICAL, WITHIN, Score, worst

NOT_RECORDED = "nothing recorded"
"""Verdict of a stage whose outputs there is nothing to compare with."""

_TO_LOOK_AT = (".html", ".png")
"""Pages and pictures, which no stage reads."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Result:
    """A stage that was made again from recorded inputs."""

    stage: str
    out: str
    """Folder that it makes, relative to the project's root."""
    seconds: float
    difference: Difference | None
    """From the recorded files; None: not known."""
    recorded: bool
    """Whether a hash of the output was recorded."""
    kept: bool = False
    """Whether the stages after it read what was made now: the recorded output is not to be had."""
    same_weights: bool | None = None
    """Of a training."""
    tensors: tuple[tuple[str, str, str], ...] = ()
    """Of a training whose weights differ: name, largest absolute difference, largest value of the
    tensors that differ most; numbers as text, for they may be infinite."""
    num_tensors: int = 0
    """How many differ."""
    parted: Parted | None = None
    """Where the training's loss is another for the first time."""
    num_steps: int = 0
    """Steps whose loss could be compared."""
    scores: tuple[Score, ...] = ()
    """Of an evaluation; of a training whose weights differ: the new network's."""

    @property
    def files(self) -> tuple[str, ...]:
        """Files that differ and are read by anything."""
        found = () if self.difference is None else self.difference.files
        return tuple(one for one in found if PurePosixPath(one).suffix not in _TO_LOOK_AT)

    @property
    def pages(self) -> tuple[str, ...]:
        """Pages and pictures that differ."""
        found = () if self.difference is None else self.difference.files
        return tuple(one for one in found if PurePosixPath(one).suffix in _TO_LOOK_AT)

    def verdict(self, bound: float) -> str:
        """IDENTICAL, WITHIN, DIFFERENT or NOT_RECORDED.

        Data and labels are the same bytes or different. A training is identical if its weights
        are; else its network is judged, like an evaluation, by its scores.
        """
        if self.same_weights is not None or self.scores:
            if self.same_weights:
                return IDENTICAL
            found = worst([score.verdict(bound) for score in self.scores])
            return worst([found, IDENTICAL if self.same_weights is None else WITHIN])
        if not self.recorded:
            return NOT_RECORDED
        return DIFFERENT if self.difference is None or self.files else IDENTICAL

    def told(self, bound: float) -> list[str]:
        """What there is to say of it, a sentence a line."""
        lines = []
        if self.difference is None:
            lines.append(
                "the list of its recorded files is not here, and their hash is another"
                if self.recorded
                else "no hash of it was recorded: nothing to compare with"
            )
        elif not self.difference.files:
            lines.append(_files(self.difference.same, "the recorded bytes"))
        lines += [f"differs: {self.out}/{one}" for one in _some(self.files)]
        lines += [f"only to look at, differs: {one}" for one in _some(self.pages)]
        if self.kept:
            lines.append("the recorded ones are not in the store: later stages read the new ones")
        if self.same_weights is not None:
            lines += self._of_training()
        apart = [score for score in self.scores if score.apart]
        if self.scores and not apart:
            lines.append(f"all {len(self.scores)} values of its metrics are equal")
        beyond = sum(score.verdict(bound) == DIFFERENT for score in apart)
        if apart:
            lines.append(
                f"{len(apart)} of {len(self.scores)} values of its metrics are not equal, "
                f"{beyond} by more than {bound:g} of the recorded one"
            )
        return lines

    def first_difference(self, bound: float) -> str:
        """In a few words, for a stage that is not identical."""
        if self.parted is not None:
            return f"{self.stage} {self.parted}"
        if self.files:
            return f"{self.stage} ({self.out}/{self.files[0]})"
        apart = [score for score in self.scores if score.apart]
        return f"{self.stage} ({apart[0].name})" if apart else self.stage

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From what `as_dict` gave. Raises KeyError or TypeError where it is none."""
        given = dict(values)
        if given["difference"] is not None:
            told = given["difference"]
            lists = {key: tuple(told[key]) for key in ("changed", "missing", "extra")}
            given["difference"] = Difference(told["same"], **lists)
        given["parted"] = None if given["parted"] is None else Parted(**given["parted"])
        given["tensors"] = tuple((str(a), str(b), str(c)) for a, b, c in given["tensors"])
        given["scores"] = tuple(Score(**one) for one in given["scores"])
        return cls(**given)

    def _of_training(self) -> list[str]:
        if self.same_weights:
            lines = ["the weights are the registered ones, bit by bit"]
        else:
            name, largest, scale = self.tensors[0] if self.tensors else ("none", "0", "0")
            lines = [
                f"tensors that differ: {self.num_tensors}; most {name}, by {largest} (its largest "
                f"value is {scale})"
            ]
        if self.parted is not None:
            lines.append(f"train/loss parts {self.parted}")
        elif self.num_steps:
            lines.append(f"train/loss is equal at all {self.num_steps} recorded steps")
        else:
            lines.append("the store has no train/loss of the registered training")
        return lines


def verdict_of(results: Sequence[Result], bound: float) -> str:
    """Of all stages together; NOT_RECORDED counts for nothing."""
    found = [one.verdict(bound) for one in results]
    return worst([one for one in found if one != NOT_RECORDED])


def first_parted(results: Sequence[Result], bound: float) -> str | None:
    """The first stage that is not identical, in words."""
    for one in results:
        if one.verdict(bound) in (WITHIN, DIFFERENT):
            return one.first_difference(bound)
    return None


def _some(names: Sequence[str]) -> list[str]:
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return [*names[:_SHOWN], *more]


def _files(number: int, what: str) -> str:
    return f"{number} {'file has' if number == 1 else 'files have'} {what}"
