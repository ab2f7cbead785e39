"""One rank of a labelling: it takes chunks from the common pile until there are no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch

from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.files import read_json, write_json
from symbio.label.chunks import Labelled, chunk_path, chunks_of, is_done, write_chunk
from symbio.label.deal import Deal
from symbio.label.label import label_frames
from symbio.label.teacher import Teacher, load_teacher
from symbio.label.written import Written, written_labels
from symbio.params import TeacherParams
from symbio.progress import track
from symbio.ranks import group
from symbio.ranks.ending import RESUME_ME
from symbio.ranks.entry import be_a_rank
from symbio.ranks.place import Place
from symbio.ranks.pulse import Pulse
from symbio.ranks.settings import step_timeout_s
from symbio.ranks.sharing import ALONE, agreed, gathered
from symbio.ranks.stop import StopRequest

_TASK = "task.json"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be labelled; the same on all ranks."""

    root: Path
    """The project's folder."""
    dataset: str
    work: Path
    """Where finished chunks are kept: on a disk that all hosts share."""
    teacher: TeacherParams
    made_from: dict[str, Any]
    """What the labels depend on, by content."""

    def write(self) -> None:
        """Leave the task in its work folder, where every rank finds it."""
        facts = {"teacher": self.teacher.model_dump(mode="json"), "made_from": self.made_from}
        write_json(self.work / _TASK, facts)

    @classmethod
    def read(cls, root: Path, dataset: str, work: Path) -> Self:
        """The task in a work folder.

        Raises:
            SymbioError: there is none.
        """
        facts = read_json(work / _TASK, "a labelling's task; do all hosts see the same disk?")
        teacher = TeacherParams.model_validate_json(json.dumps(facts["teacher"]))
        return cls(root, dataset, work, teacher, facts["made_from"])


def label_rank(task: Task, place: Place = ALONE, stop: StopRequest | None = None) -> bool:
    """Take part in a labelling as one of its ranks, the process group being open.

    Args:
        task: the same on all ranks.
        place: which rank this is.
        stop: asked after every batch; a chunk that is not finished then is done again later.

    Returns:
        Whether all chunks are done; False where it was stopped.

    Raises:
        SymbioError: a frame is broken, the teacher cannot be loaded, or it is another one, or
            the frames are others, than the task's.
    """
    # One thread an operation: how sums are split over threads, and so the last bit of a
    # confidence, must not depend on the number of ranks.
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _label(task, place, stop or StopRequest())
    finally:
        torch.set_num_threads(num_threads)


def main(root: Path, dataset: str, work: Path) -> int:
    """Be the rank that the environment says; returns the exit code."""

    def rank(place: Place, stop: StopRequest) -> int:
        group.join(place, group.device_of(place))
        done = label_rank(agreed(lambda: Task.read(root, dataset, work)), place, stop)
        return 0 if done else RESUME_ME

    return be_a_rank(rank)


def todo_of(work: Path, chunks: list[list[str]]) -> list[int]:
    """Numbers of the chunks that are not done, or damaged."""
    return [n for n, keys in enumerate(chunks) if not is_done(chunk_path(work, n), keys)]


def _label(task: Task, place: Place, stop: StopRequest) -> bool:
    teacher = agreed(lambda: _teacher(task, place))
    pulse = Pulse(task.work / "ranks", place, step_timeout_s())
    if place.world > 1:
        pulse.start()  # a rank alone keeps nobody waiting, however long a batch takes it
    try:
        prepared = agreed(lambda: _frames(task, place, pulse))
        chunks = chunks_of(list(prepared.keys()))
        # Rank 0's list counts: others may look when the first chunks are already done.
        todo = gathered(todo_of(task.work, chunks) if place.first else [])[0]
        deal = Deal(todo, place.world)
        worked = _work(task, teacher, prepared, chunks, deal, place, pulse, stop)
        if place.first:
            total = sum(len(chunks[number]) for number in todo)
            worked = track(worked, f"label with {task.teacher.model}", total)
        for _ in worked:
            pass
        return stop.now() is None
    finally:
        pulse.close()


def _work(
    task: Task,
    teacher: Teacher | Written,
    prepared: Shards,
    chunks: list[list[str]],
    deal: Deal,
    place: Place,
    pulse: Pulse,
    stop: StopRequest,
) -> Iterator[None]:
    """Label chunks; yields once for each frame that any rank has labelled, as this one hears."""
    told = 0
    while (number := deal.next()) is not None:
        pulse.beat("labels", number)
        done: dict[str, Labelled] = {}
        for batch in label_frames(teacher, task.teacher, prepared, chunks[number]):
            if stop.now() is not None:
                return
            pulse.beat("labels")
            done |= {frame.key: frame for frame in batch}
            heard = deal.tell(len(batch))
            yield from [None] * (heard - told)
            told = heard
        write_chunk(chunk_path(task.work, number), [done[key] for key in chunks[number]])
    deal.leave(place.first, lambda: pulse.beat("waits for the other ranks"))
    yield from [None] * (deal.tell(0) - told)


def _teacher(task: Task, place: Place) -> Teacher | Written:
    params = task.teacher
    written = written_labels(params.model, task.root)
    if written is not None:
        return written
    device = group.device_of(place)
    teacher = load_teacher(params.model, task.root, device, params.precision)
    if teacher.files != task.made_from["teacher"]:
        raise SymbioError(
            f"teacher.model: rank {place.rank} found other files in {teacher.folder} than the "
            "host that started the labelling has; give every host the same teacher"
        )
    return teacher


def _frames(task: Task, place: Place, pulse: Pulse) -> Shards:
    folder = task.root / "data" / "prepared" / task.dataset
    share = (place.rank, place.world)
    prepared = Shards(folder, share, lambda: pulse.beat("verifies the frames"))
    if prepared.digest() != task.made_from["prepared"]:
        raise SymbioError(
            f"{folder}: rank {place.rank} found other frames than the host that started the "
            "labelling has; let all hosts work on one disk"
        )
    return prepared
