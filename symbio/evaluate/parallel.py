"""Work on several batches at a time, without a bit that depends on how many.

How many threads share one operation decides in which order it adds up, and by which kernel; so a
prediction's last bits differ between one thread and two. Here an operation has one thread, and
the threads that a process may use take a batch each: as fast, and the same bits on any machine
share and any number of ranks.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextlib.contextmanager
def one_thread_an_operation() -> Iterator[int]:
    """Run torch's CPU operations in one thread each; yields how many threads there were."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def in_parallel(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Results of `work` in the order of `items`, up to `workers` of them worked on at a time.

    Each runs torch's CPU operations in one thread.
    """
    if workers == 1:
        with one_thread_an_operation():
            yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            # One more than can be worked on, so that no worker waits for the caller.
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
