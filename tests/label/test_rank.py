"""A rank takes part only in the labelling that it was started for."""

from __future__ import annotations

from pathlib import Path

import pytest

from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.label.chunks import chunk_path, chunks_of, is_done
from symbio.label.deal import Deal
from symbio.label.rank import Task, label_rank
from symbio.label.source import teacher_files
from symbio.ranks.stop import StopRequest

from ..data.prepared import tiny_params
from .conftest import write_prepared


@pytest.fixture
def task(segformer_folder: Path, tmp_path: Path) -> Task:
    prepared = Shards(write_prepared(tmp_path))
    made_from = {"teacher": teacher_files(segformer_folder), "prepared": prepared.digest()}
    work = tmp_path / "work"
    work.mkdir()
    params = tiny_params(**{"teacher.model": str(segformer_folder), "teacher.image_size": [32, 32]})
    Task(tmp_path, "nyu", work, params.teacher, made_from).write()
    return Task.read(tmp_path, "nyu", work)


def test_a_task_is_read_as_it_was_written_and_done(task: Task) -> None:
    assert label_rank(task)
    chunks = chunks_of(list(Shards(task.root / "data/prepared/nyu").keys()))
    assert all(is_done(chunk_path(task.work, n), keys) for n, keys in enumerate(chunks))


def test_a_request_to_stop_leaves_whole_chunks_alone(task: Task) -> None:
    class _Asked(StopRequest):
        def now(self):  # type: ignore[no-untyped-def]
            self.asked = getattr(self, "asked", 0) + 1
            return "preempted" if self.asked > 3 else None

    assert not label_rank(task, stop=_Asked())
    chunks = chunks_of(list(Shards(task.root / "data/prepared/nyu").keys()))
    done = [is_done(chunk_path(task.work, n), keys) for n, keys in enumerate(chunks)]
    assert done == [True, False, False]


@pytest.mark.parametrize(
    ("what", "words"),
    [("teacher", "other files in .* than the host"), ("prepared", "other frames than the host")],
)
def test_another_teacher_or_other_frames_are_refused(task: Task, what: str, words: str) -> None:
    task.made_from[what] = {} if what == "teacher" else "0" * 64
    with pytest.raises(SymbioError, match=words):
        label_rank(task)


def test_a_work_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SymbioError, match="do all hosts see the same disk"):
        Task.read(tmp_path, "nyu", tmp_path / "elsewhere")


def test_every_chunk_is_dealt_once() -> None:
    deal = Deal([4, 7, 9], 1)
    assert [deal.next() for _ in range(5)] == [4, 7, 9, None, None]
    assert [deal.tell(3), deal.tell(0), deal.tell(2)] == [3, 3, 5]
    deal.leave(True, lambda: pytest.fail("waits for nobody"))
