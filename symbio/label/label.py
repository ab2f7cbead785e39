"""Label the frames of a prepared data set, chunk by chunk, on several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from symbio.data.classes import IGNORE, label_space
from symbio.data.dataset import Frame, load_frame
from symbio.data.images import encode_png
from symbio.data.shards import Shards
from symbio.errors import SymbioError
from symbio.label.chunks import Labelled, chunk_path, is_done, write_chunk
from symbio.label.measure import DEPTH_EDGES_M, is_kept, measure
from symbio.label.predict import predict
from symbio.label.teacher import Teacher, load_teacher
from symbio.params import TeacherParams
from symbio.progress import track

RANKS_VARIABLE = "SYMBIO_RANKS"
FLIP_CHECK_EVERY = 8
"""Every 8th frame of a chunk is also labelled mirrored, to measure how far the two agree."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a labelling process needs to know; small, so that it can be sent to one."""

    prepared: Path
    work: Path
    params: TeacherParams
    root: Path


def num_ranks(num_chunks: int) -> int:
    """Processes to use: SYMBIO_RANKS, or one for each GPU, or two on a CPU; no more than chunks.

    Raises:
        SymbioError: SYMBIO_RANKS is no positive number.
    """
    wanted = os.environ.get(RANKS_VARIABLE)
    if wanted is None:
        ranks = torch.cuda.device_count() or min(2, os.cpu_count() or 1)
    elif wanted.isdigit() and int(wanted) > 0:
        ranks = int(wanted)
    else:
        raise SymbioError(f"{RANKS_VARIABLE}={wanted!r}: expected a positive whole number")
    return max(1, min(ranks, num_chunks))


def label_chunks(job: Job, chunks: Sequence[Sequence[str]]) -> None:
    """Label what is not yet done; finished chunks stay in `job.work`.

    Raises:
        SymbioError: a frame is broken, the teacher cannot be loaded, or a process died.
    """
    todo = [
        number
        for number, keys in enumerate(chunks)
        if not is_done(chunk_path(job.work, number), keys)
    ]
    ranks = num_ranks(len(todo))
    frames = sum(len(chunks[number]) for number in todo)
    done = _inline(job, chunks, todo) if ranks == 1 else _spread(job, chunks, todo, ranks)
    for _ in track(done, f"label with {job.params.model}", total=frames):
        pass


def label_frames(
    teacher: Teacher, params: TeacherParams, prepared: Shards, keys: Sequence[str]
) -> Iterator[Labelled]:
    """Label frames in order, in batches of equal size.

    Args:
        teacher: loaded.
        params: batch, min_confidence, flip_average, image_size.
        prepared: the frames.
        keys: which of them; batches are cut from these, so the same keys give the same labels.
    """
    frames = (load_frame(prepared, key) for key in keys)
    place = count()
    for _, same in groupby(frames, key=lambda frame: frame.image.shape):
        for batch in _batches(same, params.batch):
            image = torch.from_numpy(np.stack([frame.image for frame in batch])).permute(0, 3, 1, 2)
            labels, confidences = predict(teacher, image, params.flip_average, params.image_size)
            for row, frame in enumerate(batch):
                mirrored = None
                if next(place) % FLIP_CHECK_EVERY == 0:
                    flipped = image[row : row + 1].flip(-1)
                    label, _ = predict(teacher, flipped, False, params.image_size)
                    mirrored = label[0].flip(-1).numpy()
                found = labels[row].numpy(), confidences[row].numpy()
                yield _labelled(frame, *found, mirrored, params, prepared)


def _labelled(
    frame: Frame,
    label: NDArray[np.uint8],
    confidence: NDArray[np.uint8],
    mirrored: NDArray[np.uint8] | None,
    params: TeacherParams,
    prepared: Shards,
) -> Labelled:
    space = label_space(prepared.header["label_space"])
    edges_m = DEPTH_EDGES_M[prepared.header["dataset"]]
    low = params.min_confidence
    counts = measure(label, confidence, low, frame.truth, space, frame.depth_m, edges_m, mirrored)
    stored = np.where(is_kept(confidence, low), label, np.uint8(IGNORE))
    height, width = label.shape
    return Labelled(frame.key, encode_png(stored), encode_png(confidence), (height, width), counts)


def _batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _inline(job: Job, chunks: Sequence[Sequence[str]], todo: Sequence[int]) -> Iterator[None]:
    if not todo:
        return
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rank = _Rank(job, _device(0))
        for number in todo:
            for _ in range(rank.work(number, chunks[number])):
                yield None
    finally:
        torch.set_num_threads(num_threads)


def _spread(
    job: Job, chunks: Sequence[Sequence[str]], todo: Sequence[int], ranks: int
) -> Iterator[None]:
    """Chunks over processes, each with its own teacher and, where there are GPUs, its own GPU."""
    context = multiprocessing.get_context("spawn")
    devices = context.SimpleQueue()
    for rank in range(ranks):
        devices.put(_device(rank))
    pool = ProcessPoolExecutor(ranks, context, _begin, (job, devices))
    try:
        waiting = {pool.submit(_work, number, list(chunks[number])) for number in todo}
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                for _ in range(future.result()):
                    yield None
    except BrokenProcessPool as error:
        raise SymbioError(
            "a labelling process died (out of memory?); chunks that were finished are kept: run "
            f"the same command again, with a smaller teacher.batch or {RANKS_VARIABLE}=1"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Rank:
    """One labelling process's teacher and frames."""

    def __init__(self, job: Job, device: str) -> None:
        self.job = job
        self.teacher = load_teacher(job.params.model, job.root, device)
        self.prepared = Shards(job.prepared)

    def work(self, number: int, keys: Sequence[str]) -> int:
        labelled = list(label_frames(self.teacher, self.job.params, self.prepared, keys))
        write_chunk(chunk_path(self.job.work, number), labelled)
        return len(labelled)


_started: list[tuple[Job, str]] = []
_rank: list[_Rank] = []
"""This process's own; empty in the process that started it."""


def _begin(job: Job, devices: Any) -> None:
    # One thread a process: how sums are split over threads, and so the last bit of a confidence,
    # must not depend on the number of processes.
    torch.set_num_threads(1)
    # Ctrl-C goes to the whole group: end without a traceback; the process that started us reports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _started.append((job, devices.get()))


def _end_with_parent() -> None:
    """Leave nothing behind when the process that started us is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(number: int, keys: list[str]) -> int:
    if not _rank:
        # Not when the process begins: an error here reaches the user, one there breaks the pool.
        _rank.append(_Rank(*_started[0]))
    return _rank[0].work(number, keys)


def _device(rank: int) -> str:
    gpus = torch.cuda.device_count()
    return f"cuda:{rank % gpus}" if gpus else "cpu"
