"""The one error that a user can cause."""

from __future__ import annotations


class SymbioError(Exception):
    """Bad input, said plainly: names the file or parameter, what was found and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """
