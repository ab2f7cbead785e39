"""The journal: append-only, survives torn lines, and hands each record out once."""

from __future__ import annotations

from pathlib import Path

from symbio.train.records.journal import (
    JOURNAL_FILE,
    Follower,
    Journal,
    machines_of,
    read_journal,
)


def steps(records: list[dict]) -> list[int]:
    return [record["step"] for record in records]


def test_records_after_the_step_resumed_from_are_superseded(tmp_path: Path) -> None:
    first = Journal(tmp_path, "one", 0)
    for step in (1, 2, 3):
        first.metrics(step, step / 2, {"train/loss": float(step)})
    second = Journal(tmp_path, "two", 2)
    second.metrics(3, 1.5, {"train/loss": 30.0})
    records = read_journal(tmp_path)
    assert steps(records) == [1, 2, 3]
    assert records[-1]["metrics"] == {"train/loss": 30.0}
    assert records[-1]["epoch"] == 1.5


def test_a_torn_last_line_costs_that_line_only(tmp_path: Path) -> None:
    first = Journal(tmp_path, "one", 0)
    first.metrics(1, 0.0, {"a": 1.0})
    with (tmp_path / JOURNAL_FILE).open("a") as file:
        file.write('{"step": 2, "metr')
    assert steps(read_journal(tmp_path)) == [1]
    Journal(tmp_path, "two", 1).metrics(2, 0.0, {"a": 2.0})
    assert steps(read_journal(tmp_path)) == [1, 2]


def test_a_follower_gets_each_standing_record_once(tmp_path: Path) -> None:
    first = Journal(tmp_path, "one", 0)
    for step in (1, 2, 3):
        first.metrics(step, 0.0, {"a": 1.0})
    follower = Follower(tmp_path, "two")
    # Which old records stand is known only once the new run says where it starts.
    assert not list(follower.new_records())
    second = Journal(tmp_path, "two", 2)
    assert steps(list(follower.new_records())) == [1, 2]
    second.metrics(3, 0.0, {"a": 2.0})
    second.event("checkpoint", 3)
    second.metrics(4, 0.0, {"a": 2.0})
    assert steps(list(follower.new_records())) == [3, 4]
    assert not list(follower.new_records())


def test_a_follower_waits_for_the_end_of_a_line_and_for_a_new_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    Journal(run, "old", 0).metrics(1, 0.0, {"a": 1.0})
    follower = Follower(run, "new")
    assert not list(follower.new_records())
    run.rename(tmp_path / "previous")
    assert not list(follower.new_records())
    run.mkdir()
    Journal(run, "new", 0)
    with (run / JOURNAL_FILE).open("a") as file:
        file.write('{"step": 1, "metrics": ')
        file.flush()
        assert not list(follower.new_records())
        file.write('{"a": 5.0}}\n')
    assert [record["metrics"]["a"] for record in follower.new_records()] == [5.0]


def test_numbers_that_json_lacks_are_kept_as_words(tmp_path: Path) -> None:
    Journal(tmp_path, "one", 0).metrics(1, 0.0, {"a": float("nan"), "b": float("-inf"), "c": 1.0})
    assert read_journal(tmp_path)[0]["metrics"] == {"a": "nan", "b": "-inf", "c": 1.0}


def test_the_hosts_of_every_start_are_remembered(tmp_path: Path) -> None:
    assert machines_of(tmp_path) == ([], [])
    Journal(tmp_path, "one", 0).machines(0, ["b", "a", "a"], ["cpu", "cpu", "gpu"])
    second = Journal(tmp_path, "two", 2)
    second.machines(2, ["c"], ["gpu"])
    second.metrics(3, 0.0, {"a": 1.0})
    assert machines_of(tmp_path) == (["a", "b", "c"], ["gpu"])
    assert steps(read_journal(tmp_path)) == [3]
