"""What ranks do in the launcher's tests: no torch, so that they start at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from symbio.ranks.ending import RESUME_ME, write_error
from symbio.ranks.place import die_with_parent


def main(behaviour: str, folder: Path) -> int:
    """Note that this rank ran, then behave."""
    die_with_parent()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    starts = folder / f"starts-{rank}"
    first = not starts.exists()
    with starts.open("a") as file:
        file.write(f"{world} {os.getpid()} {sys.argv[3:]}\n")
    if behaviour == "killed once" and rank == world - 1 and first:
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "always killed" and rank == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "greedy" and rank == 0:
        taken = [bytearray(2**24) for _ in range(2**12)]
        return len(taken)
    if behaviour == "aborts" and rank == 0:
        os.abort()
    if behaviour == "mistaken" and rank == 0:
        write_error(rank, "SymbioError", "the parameter is wrong")
        return 2
    if behaviour == "broken" and rank == 0:
        write_error(rank, "ZeroDivisionError", "division by zero")
        return 1
    if behaviour == "waits" or (behaviour == "killed once" and first):
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
        signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
        (folder / f"ready-{rank}").touch()
        deadline = time.monotonic() + 60
        while not stopped and time.monotonic() < deadline:
            time.sleep(0.02)
        return RESUME_ME
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (folder / f"ready-{rank}").touch()
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
