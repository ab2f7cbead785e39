"""`make demo`: the whole pipeline for both data sets, then a picture, then where to look."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from symbio.errors import SymbioError
from symbio.files import read_json
from symbio.params import DATASETS
from symbio.progress import say

_SHOWN = {
    "abs_rel": "abs_rel",
    "rmse": "rmse (m)",
    "d1": "d1",
    "truth_miou": "mIoU",
    "truth_pixel_accuracy": "pixel acc.",
    "pseudo_miou": "to teacher",
}
"""Metric -> its heading."""
_PREDICTORS = ("trained", "untrained", "constant")


def tour(root: Path) -> int:
    """Run `dvc repro`, predict one held-out picture a data set, print figures and places.

    Raises:
        SymbioError: a stage failed; what it said stands above.
    """
    start = time.monotonic()
    say("symbio tour: render, prepare, label, train, evaluate, register; nyu and kitti")
    _run([sys.executable, "-m", "dvc", "repro"], root)
    for dataset in DATASETS:
        image = _held_out_picture(root, dataset)
        out = root / "predictions" / dataset
        _run(
            [_command("symbio"), "predict", f"models/{dataset}", str(image), "--out", str(out)],
            root,
        )
    _print_figures(root)
    say(f"\ndone in {time.monotonic() - start:.0f} s. Where to look:")
    for dataset in DATASETS:
        say(f"  {f'reports/{dataset}/report.html':28} scores, worst and best frames")
        say(f"  {f'predictions/{dataset}/':28} depth and semantics of one held-out picture")
    say("and, after `. .venv/bin/activate`:")
    say(f"  {'symbio ui':28} runs and registered models in MLflow, on this machine")
    say(f"  {'dvc repro':28} once more: nothing has to run")
    say("  symbio predict models:/symbio-nyu@candidate PICTURE...   use the model on your own")
    say("  symbio demo models:/symbio-nyu@candidate                 or in the browser")
    return 0


def _run(command: list[str], root: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ended = subprocess.run(command, cwd=root, env={**os.environ, "PATH": path}, check=False)
    if ended.returncode:
        raise SymbioError(
            f"`{' '.join(Path(command[0]).name if i == 0 else c for i, c in enumerate(command))}` "
            f"ended with code {ended.returncode}; the same command continues where it stopped"
        )


def _command(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _held_out_picture(root: Path, dataset: str) -> Path:
    """A test frame's picture, unpacked from its shard as any user would bring one."""
    from symbio.data.shards import Shards

    prepared = Shards(root / "data" / "prepared" / dataset)
    key = prepared.splits["test"][0]
    ending, data = next(
        (ending, data) for ending, data in prepared.read(key).items() if ending.startswith("image.")
    )
    path = root / "predictions" / "pictures" / f"{key}.{ending.removeprefix('image.')}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _print_figures(root: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    for dataset in DATASETS:
        metrics = read_json(root / "metrics" / f"{dataset}.json", "metrics")
        title = (
            f"{dataset}: {metrics['num_images']} held-out frames, protocol {metrics['protocol']}"
        )
        table = Table(title=title)
        table.add_column("")
        for heading in _SHOWN.values():
            table.add_column(heading, justify="right")
        for predictor in _PREDICTORS:
            values = metrics[predictor]
            table.add_row(
                predictor, *(f"{values[name]:.3f}" if name in values else "" for name in _SHOWN)
            )
        Console(stderr=True).print(table)
