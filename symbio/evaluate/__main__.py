"""`python -m symbio.evaluate nyu`: one rank of an evaluation, under any launcher.

The launcher sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; without them the
evaluation has one rank. Rank 0 writes the metrics and the report, which do not depend on the number
of ranks. Exit codes: 0 evaluated, 2 a user's mistake, 1 anything else.
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
    parser = argparse.ArgumentParser(prog="python -m symbio.evaluate", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--protocol", help="another protocol than the params' own, or all")
    parser.add_argument("--flip", action="store_true", help="score mirrored views too")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    parser.add_argument("--model", type=Path, help="another model's folder than models/DATASET")
    parser.add_argument("--called", help="what messages call that model")
    parser.add_argument("--out", type=Path, help="folder for that model's results")
    given = parser.parse_args()
    # Imported when the command line is known to be good: torch takes seconds.
    from symbio.evaluate.rank import main as be_a_rank
    from symbio.evaluate.run import OtherModel, tasks_of

    try:
        params = handed_params(given.root)
        other = None
        if given.model is not None:
            if given.out is None:
                parser.error("--model needs --out")
            other = OtherModel(given.model, given.called or str(given.model), given.out)
        tasks, _ = tasks_of(
            params, given.dataset, given.root, given.protocol, given.split, other, given.flip
        )
    except SymbioError as error:
        say(str(error))
        return error.exit_code
    return be_a_rank(tasks)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown would wait for communication threads of ranks that are gone.
    os._exit(code)
