"""How ranks end: exit codes, and the last words that a launcher collects."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from symbio.files import read_json, write_json

MISTAKE = 2
"""Exit code of bad input: the same command would fail again."""
FAILED = 1
"""Exit code of a program's failure."""
HUNG = 74
"""Exit code (EX_IOERR) of a rank that ended itself because it, or a rank it waits for, hung."""
RESUME_ME = 75
"""Exit code (EX_TEMPFAIL) of a run that did not come to its end: the same command continues it."""

ERRORS_VARIABLE = "SYMBIO_ERRORS"
"""Environment variable: the folder where a launcher collects its ranks' last words."""

_LOSSES = {"Hung", "DistBackendError", "DistNetworkError", "DistStoreError", "DistError"}
"""Kinds of last words that tell of another rank's or host's end, not of a mistake of one's own."""
_LOSS_WORDS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")


@dataclass(frozen=True, slots=True)
class Word:
    """The last word of a rank that failed."""

    rank: int
    kind: str
    """Name of the exception's class, or "Hung"."""
    message: str
    time: float
    """Seconds since 1970, by the rank's own clock."""

    @property
    def mistake(self) -> bool:
        """Whether a user caused it."""
        return self.kind == "SymbioError"

    @property
    def loss(self) -> bool:
        """Whether the rank only tells that others are gone, or that it hung."""
        return self.kind in _LOSSES or (
            self.kind == "RuntimeError" and any(word in self.message for word in _LOSS_WORDS)
        )


@dataclass(frozen=True, slots=True)
class RankEnd:
    """How the process of a rank ended."""

    rank: int
    host: str
    code: int
    """Exit code; negative: killed by that signal."""
    ended_by_us: bool
    """Killed by its launcher, because the run was ending anyway."""

    @property
    def in_order(self) -> bool:
        """Whether it left by itself, at the end or on request."""
        return self.code in (0, RESUME_ME)

    def __str__(self) -> str:
        if self.code >= 0:
            return f"rank {self.rank} on {self.host} left with code {self.code}"
        name = signal.Signals(-self.code).name
        return f"rank {self.rank} on {self.host} was killed by {name}"


@dataclass(frozen=True, slots=True)
class Report:
    """What one host tells of its ranks' end."""

    ends: list[RankEnd]
    words: list[Word]

    def as_dict(self) -> dict[str, Any]:
        """For a message to another host."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From such a message. Raises KeyError or TypeError where it is none."""
        return cls(
            [RankEnd(**end) for end in values["ends"]], [Word(**word) for word in values["words"]]
        )


def write_error(rank: int, kind: str, message: str) -> None:
    """Leave a rank's last words where its launcher finds them; without one, do nothing."""
    folder = os.environ.get(ERRORS_VARIABLE)
    if folder is not None:
        word = Word(rank, kind, message, time.time())
        write_json(Path(folder) / f"rank-{rank}.json", asdict(word))


def words_in(folder: Path | str | None) -> list[Word]:
    """The last words left in a folder, the cause first: mistakes, then what came earliest."""
    if folder is None:
        return []
    words = [Word(**read_json(path, "a rank's error")) for path in Path(folder).glob("rank-*.json")]
    return sorted(words, key=lambda word: (not word.mistake, word.time))
