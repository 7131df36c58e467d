"""Fixtures that every test may use."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.world import World, a_world


@pytest.fixture
def anyio_backend() -> str:
    """asyncio is what we run on."""
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A server and its upstream in this process."""
    async with a_world(tmp_path) as made:
        yield made
