"""What a training step costs beside plain PyTorch, and what a checkpoint costs.

The sample's network, frame size and batch; frames are made up. One rank at ZeRO-0 stands against a
bare loop, two ranks at ZeRO-0, 1 and 2 against DistributedDataParallel, each pair in turns within
one process. Targets: 1.05 of the bare loop, 1.05 of DDP, checkpoints at most 2 % of a run at the
preset's own interval.

    python benchmarks/training.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from symbio.data.images import encode_png
from symbio.data.shards import ShardWriter
from symbio.params import load_params
from symbio.presets import write_preset
from symbio.ranks.local import run_here

RUNS = ((1, 0), (2, 0), (2, 1), (2, 2))
"""Ranks and ZeRO stage."""
FRAMES = 48


def main() -> None:
    """Measure and print the table."""
    os.chdir(Path(__file__).parents[1])  # ranks import `benchmarks` from here
    table = Table("ranks", "ZeRO", "symbio (ms)", "plain (ms)", "ratio", title="median step")
    costs = Table(
        "ranks", "ZeRO", "MB", "held up (ms)", "slowed (ms)", "share of a run", title="checkpoint"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = make_project(Path(name))
        train = load_params(folder / "params.yaml").train
        for ranks, stage in RUNS:
            out = folder / "out.json"
            arguments = [str(folder), str(stage), str(out)]
            run_here("benchmarks.ranks.training", arguments, ranks)
            found = json.loads(out.read_text())
            ours, plain = 1e3 * found["ours"], 1e3 * found["bare"]
            row = f"{ours:.1f}", f"{plain:.1f}", f"{found['ratio']:.3f}"
            table.add_row(str(ranks), str(stage), *row)
            cost = found["checkpoint_stall"] + max(0.0, found["checkpoint_slowed"])
            share = cost / (train.checkpoint_every * found["ours"])
            row = (
                f"{found['checkpoint_bytes'] / 1e6:.1f}",
                f"{1e3 * found['checkpoint_stall']:.1f}",
                f"{1e3 * found['checkpoint_slowed']:.1f}",
            )
            costs.add_row(str(ranks), str(stage), *row, f"{100 * share:.2f} %")
    console = Console(width=100)
    console.print(table)
    console.print(costs)
    console.print(f"a checkpoint every {train.checkpoint_every} steps; {os.cpu_count()} cores")


def make_project(folder: Path) -> Path:
    """The sample's parameters, and frames of noise in its size."""
    write_preset("sample", folder / "params.yaml")
    height, width = load_params(folder / "params.yaml").nyu.image_size
    rng = np.random.default_rng(0)
    prepared, pseudo = (folder / "data" / kind / "nyu" for kind in ("prepared", "pseudo"))
    for path in (prepared, pseudo):
        path.mkdir(parents=True)
    frames, labels = ShardWriter(prepared), ShardWriter(pseudo)
    for number in range(FRAMES):
        key, info = f"frame-{number}", {"height": height, "width": width, "scene": "noise"}
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        depth = rng.integers(500, 9500, (height, width)).astype(np.uint16)
        classes = rng.integers(0, 150, (height, width), dtype=np.uint8)
        sure = rng.integers(128, 256, (height, width), dtype=np.uint8)
        frames.add(
            "train", key, {"image.png": encode_png(image), "depth.png": encode_png(depth)}, info
        )
        labels.add(
            "train",
            key,
            {"class.png": encode_png(classes), "confidence.png": encode_png(sure)},
            info,
        )
    frames.close({"dataset": "nyu", "depth_scale": 1000, "label_space": "ade20k"})
    labels.close({"dataset": "nyu", "teacher": "made up"})
    return folder


if __name__ == "__main__":
    sys.exit(main())
