"""How ranks end: exit codes, and the last words that a launcher collects."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from symbio.errors import SymbioError
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

OUT_OF_MEMORY = "OutOfMemory"
"""Kind of the last word of a rank whose memory was not enough."""

_LOSSES = {"Hung", "DistBackendError", "DistNetworkError", "DistStoreError", "DistError"}
"""Kinds of last words that tell of another rank's or host's end, not of a mistake of one's own."""
_LOSS_WORDS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")


class OutOfMemory(SymbioError):
    """The work needs more memory than there is: the same command would fail again."""

    def __init__(self, message: str, peak_bytes: int | None) -> None:
        super().__init__(message, FAILED)
        self.peak_bytes = peak_bytes
        """The most that a rank which ran out of it had; None: not known."""


@dataclass(frozen=True, slots=True)
class Word:
    """The last word of a rank that failed."""

    rank: int
    kind: str
    """Name of the exception's class, "Hung" or OUT_OF_MEMORY."""
    message: str
    time: float
    """Seconds since 1970, by the rank's own clock."""
    peak_bytes: int | None = None
    """The most memory that the rank had, where it ran out of it and could tell."""

    @property
    def mistake(self) -> bool:
        """Whether a user caused it."""
        return self.kind == "SymbioError"

    @property
    def out_of_memory(self) -> bool:
        """Whether the rank's memory was not enough."""
        return self.kind == OUT_OF_MEMORY

    @property
    def loss(self) -> bool:
        """Whether the rank only tells that others are gone, or that it hung."""
        return is_loss(self.kind, self.message)


def is_loss(kind: str, message: str) -> bool:
    """Whether an error only tells that other ranks are gone, or that this one hung.

    Args:
        kind: name of its class, or "Hung".
        message: its text.
    """
    return kind in _LOSSES or (
        kind == "RuntimeError" and any(word in message for word in _LOSS_WORDS)
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


def write_error(rank: int, kind: str, message: str, peak_bytes: int | None = None) -> None:
    """Leave a rank's last words where its launcher finds them; without one, do nothing."""
    folder = os.environ.get(ERRORS_VARIABLE)
    if folder is not None:
        word = Word(rank, kind, message, time.time(), peak_bytes)
        write_json(Path(folder) / f"rank-{rank}.json", asdict(word))


def words_in(folder: Path | str | None) -> list[Word]:
    """The last words left in a folder, the cause first: mistakes, then what came earliest."""
    if folder is None:
        return []
    words = [Word(**read_json(path, "a rank's error")) for path in Path(folder).glob("rank-*.json")]
    return sorted(words, key=lambda word: (not word.mistake, word.time))
