"""The stages that lead to a registered version: what each reads, and how it is run again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from symbio.errors import SymbioError
from symbio.ranks.ending import FAILED, RESUME_ME

STAGES = ("sample", "prepare", "label", "train", "evaluate")
"""In order; `register` only stores what they made."""

_KEPT = ("SYMBIO_STEP_TIMEOUT", "SYMBIO_HOST_TIMEOUT", "SYMBIO_GRACE", "SYMBIO_RANK_MEMORY")
"""What a person says about this machine; the rest shapes runs, or belongs to another one."""
_STORES = ("MLFLOW_", "PREFECT", "SLURM_", "SYMBIO_")


def inputs_of(stage: str, dataset: str, raw: str) -> tuple[str, ...]:
    """Folders that a stage reads, relative to the project's root; `raw`: as params name it."""
    prepared, pseudo = f"data/prepared/{dataset}", f"data/pseudo/{dataset}"
    return {
        "sample": (),
        "prepare": (raw,),
        "label": (prepared,),
        "train": (prepared, pseudo),
        "evaluate": (f"models/{dataset}", prepared, pseudo),
    }[stage]


def out_of(stage: str, dataset: str) -> str:
    """Folder that a stage makes."""
    folder = {
        "sample": "data/sample",
        "prepare": "data/prepared",
        "label": "data/pseudo",
        "train": "models",
        "evaluate": "reports",
    }[stage]
    return f"{folder}/{dataset}"


def run_stage(
    stage: str,
    dataset: str,
    checkout: Path,
    python: Path,
    ranks: int,
    threads: int | None,
) -> None:
    """Run a stage's own verb in the checkout, with its code and without any server.

    Args:
        stage: one of STAGES.
        dataset: nyu, kitti or a key of `custom`.
        checkout: where.
        python: the interpreter.
        ranks: processes of a training, all on this host.
        threads: OpenMP threads of each of them; None: as the environment says.

    Raises:
        SymbioError: it failed; exit_code 75 if it was told to stop.
        KeyboardInterrupt: after it has ended, if that was asked for.
    """
    command = [str(python), "-m", "symbio.cli", stage, dataset]
    code, interrupted = _run(command, checkout, _environment(checkout, stage, ranks, threads))
    if interrupted:
        raise KeyboardInterrupt
    if code == RESUME_ME:
        raise SymbioError(
            f"{stage}@{dataset}: was stopped in {checkout}; the same command continues it", code
        )
    if code:
        raise SymbioError(
            f"{stage}@{dataset}: failed in {checkout} with exit code {code} (its message is above)",
            FAILED,
        )


def _environment(checkout: Path, stage: str, ranks: int, threads: int | None) -> Mapping[str, str]:
    """This process's, without what belongs to a run, a store or a server of this project."""
    values = {
        key: one for key, one in os.environ.items() if key in _KEPT or not key.startswith(_STORES)
    }
    values["PYTHONPATH"] = str(checkout.resolve())
    values["SYMBIO_NODES"] = "1"
    if stage == "train":
        values["SYMBIO_RANKS"] = str(ranks)
        if threads is not None:
            values["OMP_NUM_THREADS"] = str(threads)
    return values


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, bool]:
    """Exit code, and whether Ctrl-C was typed: the stage hears it too, and ends in order.

    SIGTERM is passed on. A second Ctrl-C kills.
    """
    interrupts = 0
    process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        while True:
            try:
                return process.wait(), interrupts > 0
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts > 1:
                    process.kill()
    finally:
        signal.signal(signal.SIGTERM, before)
