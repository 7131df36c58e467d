"""Fixtures that every test may use."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.world import World, a_world


def pytest_configure() -> None:
    """A shell's `&` and nohup have these ignored, and every process that a test starts would ignore them, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def anyio_backend() -> str:
    """asyncio is what we run on."""
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A server and its upstream in this process."""
    async with a_world(tmp_path) as made:
        yield made
