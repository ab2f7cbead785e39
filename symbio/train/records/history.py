"""The run's curves as a table: models/{dataset}/history.csv, for DVC's plots and anybody's eyes."""

from __future__ import annotations

import csv
from pathlib import Path

from symbio.train.records.journal import read_journal

TRAIN_COLUMNS = ("loss", "silog", "semantic", "lr", "gradient_norm")
VAL_COLUMNS = ("abs_rel", "rmse", "d1", "pseudo_miou")
"""Speed is left out: the table, like the weights, depends on the run's inputs alone."""


def write_history(run: Path, path: Path) -> None:
    """Write one row a journal step; a cell is empty where nothing was recorded.

    Args:
        run: checkpoints/{dataset}.
        path: the CSV to write.
    """
    columns = [
        *(f"train/{name}" for name in TRAIN_COLUMNS),
        *(f"val/{name}" for name in VAL_COLUMNS),
    ]
    rows: dict[int, dict[str, float | int | str]] = {}
    for record in read_journal(run):
        row = rows.setdefault(record["step"], {"step": record["step"], "epoch": record["epoch"]})
        row |= {name: value for name, value in record["metrics"].items() if name in columns}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "epoch", *(name.replace("/", "_") for name in columns)])
        for step in sorted(rows):
            row = rows[step]
            writer.writerow([step, row["epoch"], *(row.get(name, "") for name in columns)])
