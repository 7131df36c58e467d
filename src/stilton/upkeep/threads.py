"""Reading, hashing and syncing of many files by some threads: all of these happen outside Python's lock."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

JOBS = 2
"""Threads, unless somebody says another number."""
BATCH = 500
"""How many are handed out at once: the rest takes no memory."""

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], jobs: int) -> Generator[tuple[T, R], None, None]:
    """Each item and what `work` makes of it, in the order of the items, which are taken in the caller's thread.

    Whoever closes it waits for those that are worked on, not for what was handed out.
    """
    pool = ThreadPoolExecutor(jobs, "files")
    left = iter(items)
    try:
        while batch := list(islice(left, BATCH)):
            yield from zip(batch, pool.map(work, batch), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
