"""`python -m symbio.search.measure nyu --root TRIAL`: scores a trial's exported network by frames.

One rank, under any launcher. Reads TRIAL/params.yaml (or SYMBIO_PARAMS), TRIAL/models/nyu and
TRIAL/data, and writes TRIAL/frames.json (`symbio.search.frames`) and TRIAL/pictures/. Exit codes:
0 measured, 2 a user's mistake, 1 anything else.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from symbio.environment import prepare_environment
from symbio.errors import SymbioError
from symbio.progress import say
from symbio.ranks.handed import handed_params
from symbio.ranks.place import die_with_parent


def main() -> int:
    """Parse the command line and be a rank."""
    die_with_parent()
    prepare_environment()
    parser = argparse.ArgumentParser(prog="python -m symbio.search.measure", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--root", type=Path, default=Path(), help="the trial's folder")
    given = parser.parse_args()
    try:
        params = handed_params(given.root)
    except SymbioError as error:
        say(str(error))
        return error.exit_code
    # Imported when the command line is known to be good: torch takes seconds.
    from symbio.search.rank import main as be_a_rank

    return be_a_rank(params, given.dataset, given.root)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown would wait for communication threads of ranks that are gone.
    os._exit(code)
