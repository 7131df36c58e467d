"""Wait for something that another process or thread makes true; never for a while."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 20.0
LOOK_EVERY_S = 0.02


def until(condition: Callable[[], T], what: str, *, within_s: float = WITHIN_S) -> T:
    """The first true answer of `condition`. `what`: for the failure's message."""
    end = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(LOOK_EVERY_S)
