"""Progress of long work: on standard error, and to whoever started the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from symbio import tell
from symbio.progress import track
from symbio.tell import TELL_VARIABLE, read_progress
from symbio.train.watch.show import ProgressLine


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where is told: at every call, not twice a second."""
    monkeypatch.setenv(TELL_VARIABLE, str(tmp_path))
    monkeypatch.setattr(tell, "_EVERY_S", 0.0)
    return tmp_path


def told(folder: Path) -> tuple[Any, ...] | None:
    found = read_progress(folder)
    return None if found is None else (found["what"], found["done"], found["total"])


def test_each_item_done_is_told(folder: Path) -> None:
    seen = []
    for item in track(["a", "b"], "letters"):
        seen.append((item, told(folder)))
    # An item is done when the next one is asked for.
    assert seen == [("a", ("letters", 0, 2)), ("b", ("letters", 1, 2))]
    assert told(folder) == ("letters", 2, 2)


def test_work_of_unknown_length_ends_whole(folder: Path) -> None:
    for _ in track(iter("abc"), "letters"):
        assert told(folder) is not None
    assert told(folder) == ("letters", 3, 3)


def test_a_failure_passes_through_and_closes_what_was_tracked(folder: Path) -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(5)
        finally:
            closed.append(True)

    def work() -> None:
        for item in track(items(), "numbers", 5):
            if item == 2:
                raise ValueError("two")

    with pytest.raises(ValueError, match="two"):
        work()
    assert closed == [True]
    assert told(folder) == ("numbers", 2, 5)


def test_rank_0_tells_its_steps(folder: Path) -> None:
    with ProgressLine("nyu", 150, 300, 8, visible=True) as line:
        assert told(folder) == ("train nyu", 150, 300)
        line.advance(151)
        line.show({"loss": 1.0}, 1e-3, "")
        assert told(folder) == ("train nyu", 151, 300)


def test_other_ranks_tell_nothing(folder: Path) -> None:
    with ProgressLine("nyu", 0, 300, 8, visible=False) as line:
        line.advance(1)
        line.show({"loss": 1.0}, 1e-3, "")
    assert told(folder) is None
