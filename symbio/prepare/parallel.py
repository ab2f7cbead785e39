"""Work spread over threads, results in order, memory bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Yield `work(item)` in the order of `items`, at most 2 x `workers` of them ahead.

    Threads are enough: decoding, encoding and hashing release Python's lock, and two threads
    encode as many frames as two processes that hand nothing back. The first error is raised at
    its place in the order, and what was not started is dropped.
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="prepare")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
