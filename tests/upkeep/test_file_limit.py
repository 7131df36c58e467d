"""`mirror_cache_max_file_size`: files that are passed on and not kept, with all the disk's room."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stilton.domain import configuration
from tests.support.builders import Dist, a_wheel
from tests.support.team import root, settled
from tests.support.upstream import FakeUpstream, Status
from tests.support.world import World, a_world

SMALL, LARGE = a_wheel("small"), a_wheel("large", payload=bytes(5000))


@pytest.fixture(params=["json", "html"])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Files below 5,000 bytes are kept. A page in HTML does not say how large files are."""
    async with a_world(tmp_path) as made:
        made.upstream.speaks = request.param
        made.upstream.add("small", SMALL)
        made.upstream.add("large", LARGE)
        await limit(made, 5000)
        yield made


async def limit(world: World, size: Any) -> None:
    change = {"mirror_cache_max_file_size": size}
    answer = await world.client.send("PATCH", "/root/pypi", change, **root(world))
    assert answer.json["result"]["mirror_cache_max_file_size"] == size


async def fetch(world: World, dist: Dist) -> None:
    answer = await world.client.get(f"/root/pypi/{dist.path}")
    assert (answer.status, answer.body) == (200, dist.content)
    await settled(world)


def asked(upstream: FakeUpstream, dist: Dist, method: str = "GET") -> int:
    return upstream.count(f"/files/{dist.filename}", method)


async def test_a_small_file_is_kept(world: World) -> None:
    for _ in range(2):
        await fetch(world, SMALL)

    assert asked(world.upstream, SMALL) == 1


async def test_a_large_file_is_passed_on_each_time(world: World) -> None:
    for _ in range(2):
        await fetch(world, LARGE)

    assert asked(world.upstream, LARGE) == 2
    assert asked(world.upstream, LARGE, "HEAD") == 2
    assert world.blobs == []
    assert world.everything()["incoming"] == []


async def test_with_nothing_nothing_is_kept(world: World) -> None:
    await limit(world, 0)

    for _ in range(2):
        await fetch(world, SMALL)

    assert asked(world.upstream, SMALL) == 2
    assert world.blobs == []


async def test_what_is_kept_already_stays(world: World) -> None:
    await fetch(world, SMALL)
    await limit(world, 0)

    await fetch(world, SMALL)

    assert asked(world.upstream, SMALL) == 1


async def test_a_large_file_that_upstream_lost_is_404(world: World) -> None:
    world.upstream.faults[f"/files/{LARGE.filename}"] = Status(404)

    assert (await world.client.get(f"/root/pypi/{LARGE.path}")).status == 404


@pytest.mark.parametrize(("sent", "stored"), [("0", 0), (0, 0), ("100M", 100 << 20), ("1.5k", 1536)])
def test_sizes_are_stored_in_bytes(sent: object, stored: int) -> None:
    mirror = {"type": "mirror", "volatile": True, "mirror_url": "http://127.0.0.1/simple/"}

    once = configuration.updated(mirror, {"mirror_cache_max_file_size": sent}, lambda _: True)

    assert once["mirror_cache_max_file_size"] == stored
    assert configuration.updated(once, once, lambda _: True) == once
