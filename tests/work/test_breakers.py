"""Breakers by a clock that people set while they are open."""

import math

import pytest

from stilton.domain.circuit import LONGEST_WAIT_S
from stilton.domain.errors import UpstreamUnavailable
from stilton.upstream.breakers import Breakers
from tests.support.world import Clock

URL = "http://upstream.example/simple/"


async def unavailable(url: str) -> None:
    raise UpstreamUnavailable(url, "connection refused")


async def test_a_clock_that_was_set_back_makes_nobody_wait_for_it() -> None:
    clock = Clock()
    breakers = Breakers(unavailable, clock)
    while not breakers.of(URL).is_open:
        breakers.failed(URL, "connection refused")
    just_now = breakers.open_s(URL)
    clock.pass_s(-86_400)

    with pytest.raises(UpstreamUnavailable) as caught:
        breakers.check(URL)
    long_ago = breakers.open_s(URL)
    await breakers.close()

    assert (just_now, long_ago) == (0, math.inf)
    assert caught.value.retry_after_s == LONGEST_WAIT_S
