"""The world that most of these tests stand in: a team with indexes over the mirror."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.publish import a_team
from tests.support.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        await a_team(made.client)
        yield made
