"""What running a stage by a flow costs beside `dvc repro` alone, in seconds a stage.

    python benchmarks/flows.py

Both run the same stage, which has nothing to do, in turns, so that a busy machine slows both: the
difference is the platform's. A server of Prefect's own runs for as long as this does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

_TURNS = 8
_STAGE = "prepare@nyu"


def main() -> None:
    """Measure and print."""
    from flows.started import without_server
    from tests.project import environment, make_project

    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project")
        os.environ.update(environment(project))
        os.chdir(project)
        repro = [sys.executable, "-m", "dvc", "repro", "--quiet", "--single-item"]
        subprocess.run([*repro[:-1], _STAGE], check=True)
        without_server(project)
        from prefect import flow

        from flows import stage
        from flows.machines import Machines

        # Otherwise the flow would take its cached result, and not even start DVC.
        stage.outputs_in_place = lambda root, name: False  # type: ignore[assignment]

        @flow(name="measure")
        def measure() -> None:
            alone, by_flow = [], []
            for _ in range(_TURNS):
                alone.append(_seconds(lambda: subprocess.run([*repro, _STAGE], check=True)))
                by_flow.append(_seconds(lambda: stage.run_stage(project, _STAGE, Machines())))
            one, other = statistics.median(alone), statistics.median(by_flow)
            print(f"dvc repro alone {one:.2f} s, by a flow {other:.2f} s: {other - one:+.2f} s")

        measure()


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
