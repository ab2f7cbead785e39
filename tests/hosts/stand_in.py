"""Plays the remote shell: `python stand_in.py TABLE [OPTIONS] HOST COMMAND...`.

TABLE has lines `HOST how-to-enter-it`. The command runs there in a shell, as with sshd.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

_OPTIONS_WITH_VALUE = "BbcDEeFIiJLlmOopQRSWw"


def main() -> int:
    """Run one command."""
    table, *arguments = sys.argv[1:]
    while arguments[0].startswith("-"):
        with_value = len(arguments[0]) == 2 and arguments[0][1] in _OPTIONS_WITH_VALUE
        arguments = arguments[2:] if with_value else arguments[1:]
    known = dict(line.split(" ", 1) for line in Path(table).read_text().splitlines())
    where = arguments[0].rpartition("@")[2]
    if where not in known:
        sys.stderr.write(f"no host {where!r}\n")
        return 255
    command = [*shlex.split(known[where]), "sh", "-c", " ".join(arguments[1:])]
    # As with sshd, the command is out of reach of what happens to this process.
    return subprocess.Popen(command, start_new_session=True).wait()


if __name__ == "__main__":
    sys.exit(main())
