"""`python -m symbio.train nyu`: one rank of a training run, under any launcher.

The launcher sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; without them the run
has one rank. Exit codes: 0 finished, 75 stopped on request (the same command continues), 2 a
user's mistake, 1 anything else. checkpoints/{dataset}/status.json says the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Parse the command line and be a rank."""
    # Until the rank can listen (`symbio.ranks.stop`), a request to stop ends it without a word:
    # there is nothing to save yet. Hence no import of ours above.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from symbio.environment import prepare_environment
    from symbio.ranks.place import die_with_parent

    die_with_parent()
    prepare_environment()
    from symbio.errors import SymbioError
    from symbio.progress import say
    from symbio.ranks.handed import handed_params

    parser = argparse.ArgumentParser(prog="python -m symbio.train", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--resume", default="auto", metavar="auto|STEP")
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    arguments = parser.parse_args()
    try:
        params = handed_params(arguments.root)
    except SymbioError as error:
        say(str(error))
        return error.exit_code
    from symbio.train.rank import main as be_a_rank

    return be_a_rank(params, arguments.dataset, arguments.root, arguments.resume)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown would wait for communication threads of ranks that are gone.
    os._exit(code)
