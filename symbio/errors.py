"""The one error that a user can cause."""

from __future__ import annotations


class SymbioError(Exception):
    """Bad input, said plainly: names the file or parameter, what was found and what to do.

    The command line prints the message without a traceback and exits with `exit_code`.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        """2, but for long runs that ended otherwise than by a mistake (`symbio.ranks.ending`)."""
