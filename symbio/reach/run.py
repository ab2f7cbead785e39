"""`symbio reach`: can what a run needs be reached and written?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from symbio.errors import SymbioError
from symbio.ranks.ending import MISTAKE, RESUME_ME
from symbio.reach.reached import Reached
from symbio.reach.remote import require_remote
from symbio.reach.store import each_store


def run(root: Path = Path(".")) -> int:
    """Print a line for each place that a run needs, and how long it took to try.

    Returns:
        0: all of them can be used.

    Raises:
        SymbioError: with every failure; exit code 2 if one needs a change, else 75.
    """
    checks: list[Callable[[Path], Iterable[Reached]]] = [each_store, require_remote]
    errors = []
    for check in checks:
        try:
            for found in check(root):
                sys.stdout.write(f"{found}\n")
                sys.stdout.flush()
        except SymbioError as error:
            errors.append(error)
    if errors:
        passing = all(error.exit_code == RESUME_ME for error in errors)
        raise SymbioError("\n".join(map(str, errors)), RESUME_ME if passing else MISTAKE)
    return 0
