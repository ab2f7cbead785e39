"""The stage: render a sample of a data set in its official format."""

from __future__ import annotations

import functools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2

from symbio.errors import SymbioError
from symbio.files import whole_folder
from symbio.params import Params, section_key
from symbio.progress import track
from symbio.sample.kitti import kitti_frame, write_kitti
from symbio.sample.nyu import nyu_frame, write_nyu

T = TypeVar("T")

_AHEAD = 8
"""Frames that each worker may be ahead of the writer: bounds memory."""


def run(
    params: Params, dataset: str, root: Path = Path("."), workers: int | None = None
) -> dict[str, Any]:
    """Render `params.dataset(dataset).sample` frames into `root`/data/sample/`dataset`.

    The files do not depend on the number of workers, and appear whole or not at all.

    Args:
        params: the data set's section `sample` is used.
        dataset: "nyu" (rooms) or "kitti" (streets).
        root: the project's folder.
        workers: processes that render; None takes one a usable core.

    Returns:
        Counts of frames and the seconds it took.

    Raises:
        SymbioError: no such data set, or the disk is full.
    """
    sample = params.dataset(dataset).sample
    if sample is None:
        raise SymbioError(
            f"{section_key(dataset)}: has no section sample; only nyu and kitti can be rendered"
        )
    total = sample.train + sample.test
    workers = min(workers or len(os.sched_getaffinity(0)), total)
    start = time.monotonic()
    out = root / "data" / "sample" / dataset
    with whole_folder(out) as folder:
        if dataset == "nyu":
            room = functools.partial(nyu_frame, sample.seed, num_train=sample.train)
            rooms = track(_rendered(room, total, workers), "rooms", total)
            write_nyu(folder, rooms, sample.train, sample.test)
        else:
            street = functools.partial(kitti_frame, sample.seed, num_train=sample.train)
            streets = track(_rendered(street, total, workers), "streets", total)
            write_kitti(folder, streets, sample.train, sample.test)
    seconds = time.monotonic() - start
    return {
        "dataset": dataset,
        "train": sample.train,
        "test": sample.test,
        "seconds": round(seconds, 2),
        "frames_per_second": round(total / seconds, 2),
    }


def _rendered(render: Callable[[int], T], total: int, workers: int) -> Iterator[T]:
    """`render(0)` .. `render(total - 1)`, in order, from `workers` processes."""
    if workers == 1:
        yield from map(render, range(total))
        return
    # Fresh processes: a forked copy of a process with threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    )
    try:
        window = workers * _AHEAD
        waiting = [pool.submit(render, index) for index in range(min(window, total))]
        for index in range(total):
            frame = waiting[index % window].result()
            if index + window < total:
                waiting[index % window] = pool.submit(render, index + window)
            yield frame
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
