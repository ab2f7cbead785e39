"""Data and checks as commands of their own: what a flow does before and after a stage.

python -m symbio.reach check
python -m symbio.reach pull [STAGE...]
python -m symbio.reach push [STAGE...]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from symbio.environment import prepare_environment
from symbio.errors import SymbioError
from symbio.reach.run import run
from symbio.reach.transfer import pull, push
from symbio.tell import tell_ending

_ROOT = Path(".")


def main() -> int:
    """Run one command; the exit code is 2 for a mistake, 75: the same command again."""
    prepare_environment()
    parser = argparse.ArgumentParser(prog="python -m symbio.reach")
    parser.add_argument("verb", choices=("check", "pull", "push"))
    parser.add_argument("targets", nargs="*", metavar="STAGE", help="default: all")
    parsed = parser.parse_args()
    code, message = 0, ""
    try:
        if parsed.verb == "check":
            run(_ROOT)
        elif parsed.verb == "pull":
            pull(_ROOT, parsed.targets)
        else:
            push(_ROOT, parsed.targets)
    except SymbioError as error:
        code, message = error.exit_code, str(error)
        sys.stderr.write(f"symbio.reach {parsed.verb}: {message}\n")
    tell_ending(parsed.verb, code, message)
    return code


if __name__ == "__main__":
    sys.exit(main())
