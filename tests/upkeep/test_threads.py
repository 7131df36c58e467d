"""Work handed out to threads: results in order, no more in memory than a batch."""

import threading
from itertools import count, islice

import pytest

from stilton.upkeep.threads import BATCH, in_order


def test_results_come_in_the_order_of_the_items() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(20)
        second_is_done.set()
        return number * 2

    assert list(in_order(work, range(3 * BATCH), 2)) == [(number, number * 2) for number in range(3 * BATCH)]


def test_items_are_taken_a_batch_at_a_time_and_no_more_when_it_is_closed() -> None:
    items = count()

    steps = in_order(str, items, 2)
    first = list(islice(steps, 10))
    steps.close()

    assert first == [(number, str(number)) for number in range(10)]
    assert next(items) == BATCH


def test_what_goes_wrong_in_a_thread_is_raised_and_the_rest_is_not_begun() -> None:
    items = count()

    def work(number: int) -> int:
        if number == 3:
            raise OSError("the disk")
        return number

    with pytest.raises(OSError, match="the disk"):
        list(in_order(work, items, 2))

    assert next(items) == BATCH
