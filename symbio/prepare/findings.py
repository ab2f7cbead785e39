"""What is wrong with a raw folder: raised at once, or collected so that all of it can be told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from symbio.errors import SymbioError
from symbio.prepare.entry import Missing

_SHOWN = 5


class Findings:
    """Problems and missing files, in the order in which a reader meets them."""

    def __init__(self, strict: bool = True) -> None:
        """With `strict` the first call of `problem` or `absent` raises."""
        self._strict = strict
        self.missing: list[Missing] = []
        self.problems: list[str] = []

    def problem(self, message: str) -> None:
        """Note what is wrong. Raises SymbioError with it if strict."""
        if self._strict:
            raise SymbioError(message)
        self.problems.append(message)

    def no_list(self, split: str, source: str, raw: Path, message: str) -> None:
        """Note that a split has no list. Raises SymbioError with `message` if strict."""
        self.problem(message)
        self.missing.append(Missing(split, "list", source, str(raw)))

    def absent(self, raw: Path, missing: Sequence[Missing], frames: int, hint: str = "") -> None:
        """Note files that are not there.

        Args:
            raw: the raw folder.
            missing: the files; none is fine.
            frames: number of listed frames.
            hint: what else the message shall say.

        Raises:
            SymbioError: files are missing and this is strict; names the first few.
        """
        if missing and self._strict:
            more = len(missing) - _SHOWN
            raise SymbioError(
                f"{len(missing)} files of the {frames} listed frames are missing below {raw}:\n  "
                + "\n  ".join(f"{m.at}: no file {m.source}" for m in missing[:_SHOWN])
                + (f"\n  and {more} more" if more > 0 else "")
                + f"\n{hint}fetch the missing files, or take a list that names only what is there"
            )
        self.missing += missing
