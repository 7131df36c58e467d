"""What the disk refuses is told to whoever runs the server, and not so often that the telling fills the disk."""

import logging

import pytest

from stilton.domain.errors import StorageFull
from stilton.upkeep.alarm import LASTS_S, PAUSE_S, Alarm
from tests.support.world import Clock


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_the_log_has_one_line_a_minute_that_counts_the_others(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    alarm = Alarm(clock)

    for number in range(200):
        alarm.raised(StorageFull(f"file {number}"))
    clock.pass_s(PAUSE_S)
    alarm.raised(StorageFull("the last"))

    first = "Storage trouble: the server's disk did not take file 0: no space left"
    last = "Storage trouble: the server's disk did not take the last: no space left (199 more since the line before)"
    assert lines(caplog) == [(logging.ERROR, first), (logging.ERROR, last)]


def test_a_clock_that_was_set_back_does_not_silence_it(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    alarm = Alarm(clock)
    alarm.raised(StorageFull("it"))
    clock.pass_s(-86_400)
    warning = alarm.warning()

    alarm.raised(StorageFull("other"))

    assert warning is None
    assert len(lines(caplog)) == 2


def test_the_same_trouble_told_by_two_is_one(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    alarm = Alarm(clock)
    trouble = StorageFull("it")
    alarm.raised(trouble)
    alarm.raised(trouble)
    clock.pass_s(PAUSE_S)
    alarm.raised(StorageFull("other"))

    assert [text.endswith("no space left") for _, text in lines(caplog)] == [True, True]


def test_the_status_warns_until_it_was_quiet_for_a_while() -> None:
    clock = Clock()
    alarm = Alarm(clock)
    assert alarm.warning() is None

    alarm.raised(StorageFull("it"))

    warning = "Storage trouble at 2025-06-15T15:06:40Z: the server's disk did not take it: no space left. See the log."
    assert alarm.warning() == warning
    clock.pass_s(LASTS_S + 1)
    assert alarm.warning() is None
