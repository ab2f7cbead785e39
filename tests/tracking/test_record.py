"""Journals: every reading once, whatever happens to the file."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from symbio.errors import SymbioError
from symbio.tracking.record import JournalReader, RunInput, RunRecord, as_params, read_record


def line(step: int, time: float | None = 100.0, **metrics: object) -> str:
    record = {"step": step, "epoch": 0.5, "metrics": metrics}
    return json.dumps(record if time is None else {**record, "time": time}) + "\n"


def values(reader: JournalReader) -> list[tuple[str, int, float]]:
    return [(one.key, one.step, one.value) for one in reader.news() if one.key != "epoch"]


def test_each_line_comes_once_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    reader = JournalReader(path, started_ms=0)
    assert values(reader) == []
    path.write_text(line(1, loss=3.0) + line(2, loss=2.0)[:20])
    assert values(reader) == [("loss", 1, 3.0)]
    path.write_text(line(1, loss=3.0) + line(2, loss=2.0))
    assert values(reader) == [("loss", 2, 2.0)]
    assert values(reader) == []


def test_steps_repeated_after_a_resume_count_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(line(1, loss=3.0) + line(2, loss=2.0) + line(2, 500.0, loss=2.0))
    with path.open("a") as file:
        file.write('{"event": "start", "run": "r", "from_step": 1}\n' + line(3, 501.0, loss=1.0))
    reader = JournalReader(path, started_ms=0)
    assert values(reader) == [("loss", 1, 3.0), ("loss", 2, 2.0), ("loss", 3, 1.0)]
    assert reader.num_garbled == 0


def test_a_journal_cut_back_or_replaced_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(line(1, loss=3.0) + line(2, loss=2.0))
    reader = JournalReader(path, started_ms=0)
    assert len(values(reader)) == 2
    path.write_text(line(1, loss=3.0))
    assert values(reader) == []
    os.rename(path, tmp_path / "moved-away")
    path.write_text(line(1, loss=3.0) + line(2, loss=2.0) + line(3, loss=1.0))
    assert values(reader) == [("loss", 3, 1.0)]


def test_what_is_no_finite_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(line(1, a="nan", b="inf", c=None, d=1) + '{"step": 2, "met\n[1]\n')
    reader = JournalReader(path, started_ms=0)
    found = {one.key: one.value for one in reader.news()}
    assert found.keys() == {"a", "b", "d", "epoch"}
    assert math.isnan(found["a"])
    assert math.isnan(found["b"])
    assert reader.num_garbled == 1


def test_the_same_line_always_has_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(line(1, None, loss=1.0) + line(2, 1.5, loss=1.0))
    times = [[one.time_ms for one in JournalReader(path, 7000).news()] for _ in range(2)]
    assert times[0] == times[1] == [7001, 7001, 1500, 1500]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = RunRecord(
        experiment="e",
        name="n",
        params={"a": "1"},
        inputs=(RunInput("d", "0123456789abcdef0123456789abcdef.dir", "data/d", "training"),),
        journals=("/a/journal.jsonl",),
    )
    record.write(tmp_path)
    assert read_record(tmp_path) == record


def test_a_digest_that_the_store_would_refuse_is_refused_here() -> None:
    with pytest.raises(ValueError, match="36"):
        RunInput("d", "x" * 37, "data/d", "training")


def test_a_foreign_run_json_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"id": 3}')
    with pytest.raises(SymbioError, match=r"run\.json"):
        read_record(tmp_path)


def test_parameters_are_flat_strings() -> None:
    nested = {"a": {"b": 1e-3, "c": None}, "d": [1, 2], "e": "text", "f": True}
    expected = {"a.b": "0.001", "a.c": "null", "d": "[1, 2]", "e": "text", "f": "true"}
    assert as_params(nested) == expected
