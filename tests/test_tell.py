"""What a command tells its starter, and that telling never disturbs it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from symbio import tell
from symbio.tell import (
    TELL_VARIABLE,
    read_ending,
    read_progress,
    tell_ending,
    tell_progress,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where is told, as if nothing had been told for long."""
    monkeypatch.setenv(TELL_VARIABLE, str(tmp_path / "told"))
    monkeypatch.setattr(tell, "_told_at", -10.0)
    return tmp_path / "told"


def test_what_is_told_is_read(folder: Path) -> None:
    before = time.time()
    tell_progress("train nyu", 3, 10)
    found = read_progress(folder)
    assert found is not None
    assert before <= found.pop("time") <= time.time()
    assert found == {"what": "train nyu", "done": 3, "total": 10}
    tell_ending("train", 75, "stopped at step 3")
    assert read_ending(folder) == {
        "verb": "train", "exit_code": 75, "message": "stopped at step 3"
    }  # fmt: skip
    assert sorted(path.name for path in folder.iterdir()) == ["ending.json", "progress.json"]


def test_twice_a_second_and_the_end_at_once(folder: Path) -> None:
    written: list[int] = []
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        tell_progress("frames", len(written), None)
        found = read_progress(folder)
        assert found is not None
        if not written or found["done"] != written[-1]:
            written.append(found["done"])
        time.sleep(0.01)
        tell_progress("frames", len(written), None)
    assert 2 <= len(written) <= 4
    tell_progress("frames", 10, 10)
    found = read_progress(folder)
    assert found is not None
    assert found["done"] == 10


@pytest.mark.parametrize("told", [True, False])
def test_a_call_at_every_step_costs_nothing(
    told: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not told:
        monkeypatch.delenv(TELL_VARIABLE)
    tell_progress("steps", 0, 10**9)
    spent = []
    for step in range(2000):
        began = time.perf_counter()
        tell_progress("steps", step, 10**9)
        spent.append(time.perf_counter() - began)
    assert sorted(spent)[1000] < 50e-6
    assert folder.exists() == told


def test_a_reader_never_sees_half_a_file(folder: Path) -> None:
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            tell_progress("x" * 5000, number, number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while read_progress(folder) is None:
            time.sleep(0.01)
        seen = [read_progress(folder) for _ in range(500)]
    finally:
        over.set()
        writer.join()
    assert all(one is not None and one["done"] == one["total"] for one in seen)


def test_where_nothing_can_be_written_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(tell, "_told_at", -10.0)
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        monkeypatch.setenv(TELL_VARIABLE, str(place))
        tell_progress("steps", 1, 1)
        tell_ending("train", 0, "")
        assert read_progress(place) is None
    (tmp_path / "told" / "progress.json").mkdir(parents=True)
    monkeypatch.setenv(TELL_VARIABLE, str(tmp_path / "told"))
    tell_progress("steps", 1, 1)
    assert [path.name for path in (tmp_path / "told").iterdir()] == ["progress.json"]


def test_nobody_asked_nothing_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(TELL_VARIABLE, "")
    tell_progress("steps", 1, 1)
    monkeypatch.delenv(TELL_VARIABLE)
    tell_ending("train", 0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", '{"what": "steps"'])
def test_what_is_no_telling_is_none(tmp_path: Path, text: str) -> None:
    assert read_progress(tmp_path) is None
    (tmp_path / "progress.json").write_text(text)
    (tmp_path / "ending.json").write_text(json.dumps({"verb": "train"})[:-2])
    assert read_progress(tmp_path) is None
    assert read_ending(tmp_path) is None
