"""The curves beside a model are those of its journal."""

from __future__ import annotations

import csv
from pathlib import Path

from symbio.train.records.history import write_history
from symbio.train.records.journal import Journal


def test_one_row_a_step_and_a_resume_replaces_what_it_supersedes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "first", 0)
    journal.metrics(2, 0.5, {"train/loss": 3.0, "train/frames_per_s": 9.0})
    journal.metrics(4, 1.0, {"train/loss": 2.0})
    resumed = Journal(tmp_path, "second", 2)
    resumed.metrics(4, 1.0, {"train/loss": 1.0})
    resumed.metrics(4, 1.0, {"val/abs_rel": 0.25})
    write_history(tmp_path, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["train_loss"], row["val_abs_rel"]) for row in rows] == [
        ("2", "3.0", ""),
        ("4", "1.0", "0.25"),
    ]
    assert not any("frames" in name for name in rows[0])
