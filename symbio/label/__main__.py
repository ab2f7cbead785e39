"""`python -m symbio.label nyu --work FOLDER`: one rank of a labelling that `symbio label` leads.

Exit codes: 0 all chunks are done, 75 stopped before that, 2 a user's mistake, 1 anything else.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from symbio.environment import prepare_environment
from symbio.ranks.place import die_with_parent


def main() -> int:
    """Parse the command line and be a rank."""
    die_with_parent()
    prepare_environment()
    parser = argparse.ArgumentParser(prog="python -m symbio.label", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    parser.add_argument("--work", type=Path, required=True, help="where finished chunks are kept")
    given = parser.parse_args()
    # Imported when the command line is known to be good: torch takes seconds.
    from symbio.label.rank import main as be_a_rank

    return be_a_rank(given.root, given.dataset, given.work)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown would wait for communication threads of ranks that are gone.
    os._exit(code)
