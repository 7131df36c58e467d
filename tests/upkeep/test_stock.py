"""`+cached`: what mirrors keep, file by file."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from stilton.upkeep import stock
from tests.support.builders import Dist, a_wheel
from tests.support.publish import a_team, an_index
from tests.support.team import root, settled
from tests.support.world import START, World, a_world

HOUR = 3600.0
ONE, TWO, THREE = (a_wheel("pkg", version) for version in ("1.0", "2.0", "3.0"))
OTHER = a_wheel("other", "1.0")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        await a_team(made.client)
        made.upstream.add("pkg", ONE, TWO, THREE)
        made.upstream.add("other", OTHER)
        yield made


async def fetch(world: World, *wheels: Dist, index: str = "root/pypi") -> None:
    for wheel in wheels:
        answer = await world.client.get(f"/{index}/{wheel.path}")
        assert answer.body == wheel.content
    await settled(world, index)


async def cached(world: World, index: str = "root/pypi", **query: str) -> list[dict[str, Any]]:
    """All pages of the answer."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        answer = await world.client.get(f"/{index}/+cached?{urlencode({**query, 'after': after})}")
        assert (answer.status, answer.json["type"]) == (200, "cachedfiles"), answer.text
        found += answer.json["result"]["files"]
        after = answer.json["result"]["after"]
    return found


def names(found: list[dict[str, Any]]) -> set[str]:
    return {file["path"].rpartition("/")[2] for file in found}


async def test_only_what_was_fetched_is_cached(world: World) -> None:
    await fetch(world, ONE)
    await world.client.get("/root/pypi/+simple/other/")

    (file,) = await cached(world)

    assert file == {
        "index": "root/pypi", "project": "pkg", "path": ONE.path, "size": len(ONE.content), "sha256": ONE.sha256,
        "fetched_at": START, "used_at": None, "uses": 0, "pinned": None,
    }  # fmt: skip


async def test_last_use_and_pin_are_told(world: World) -> None:
    await fetch(world, ONE)
    await world.client.send("PUT", "/root/pypi/+pins", {"projects": ["pkg"], "reason": "release 7"}, **root(world))
    world.clock.pass_s(2 * HOUR)
    await fetch(world, ONE)
    await world.app.keeper.uses.flush()

    (file,) = await cached(world)

    assert (file["used_at"], file["uses"], file["pinned"]) == (START + 2 * HOUR, 1, "release 7")


async def test_uses_are_counted_also_between_two_writings_and_up_to_the_stop(world: World) -> None:
    await fetch(world, ONE, TWO)
    for hours in (0, 0, 1):
        world.clock.pass_s(hours * HOUR)
        await fetch(world, ONE)
        await world.app.keeper.uses.flush()
    await fetch(world, ONE)
    counted = [(file["path"], file["uses"]) for file in await cached(world)]

    await world.restart()

    assert sorted(counted) == sorted([(ONE.path, 3), (TWO.path, 0)])
    assert sorted((file["path"], file["uses"]) for file in await cached(world)) == sorted(
        [(ONE.path, 4), (TWO.path, 0)]
    )


async def test_uses_are_counted_once_when_the_stop_comes_while_they_are_written(world: World) -> None:
    await fetch(world, ONE)
    await fetch(world, ONE)
    writing = asyncio.ensure_future(world.app.keeper.uses.flush())
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)

    await world.restart()

    assert writing.cancelled()
    assert [file["uses"] for file in await cached(world)] == [1]


async def test_uses_that_the_database_did_not_take_are_written_later(world: World) -> None:
    await fetch(world, ONE)
    await fetch(world, ONE)
    asked = world.app.keeper.uses
    await world.app.db.write(lambda tx: tx.sql.exec_driver_sql("ALTER TABLE held RENAME COLUMN uses TO away"))
    with pytest.raises(Exception, match="uses"):
        await asked.flush()
    await world.app.db.write(lambda tx: tx.sql.exec_driver_sql("ALTER TABLE held RENAME COLUMN away TO uses"))
    await fetch(world, ONE)

    await world.app.keeper.uses.flush()

    assert [file["uses"] for file in await cached(world)] == [2]


async def test_a_project_or_what_is_unused_can_be_asked_for(world: World) -> None:
    await fetch(world, ONE)
    world.clock.pass_s(48 * HOUR)
    await fetch(world, TWO, OTHER)

    assert names(await cached(world, project="PKG")) == {ONE.filename, TWO.filename}
    assert names(await cached(world, unused_for="1d")) == {ONE.filename}
    assert names(await cached(world, unused_for="1d", project="other")) == set()
    assert names(await cached(world, unused_for="3d")) == set()


async def test_a_long_list_comes_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "PAGE", 2)
    await world.client.send("PUT", "/root/other", {"type": "mirror", "mirror_url": world.upstream.url}, **root(world))
    await an_index(world.client, "team", "both", bases=["root/other", "root/pypi"])
    await fetch(world, ONE, TWO, THREE)
    await fetch(world, ONE, OTHER, index="root/other")

    found = await cached(world, "team/both")

    assert [file["index"] for file in found] == ["root/other"] * 2 + ["root/pypi"] * 3
    assert names(found) == {ONE.filename, TWO.filename, THREE.filename, OTHER.filename}


async def test_mirrors_that_one_may_not_read_are_left_out(world: World) -> None:
    await fetch(world, ONE)
    await world.client.send("PATCH", "/root/pypi", {"acl_pkg_read": ["root"]}, **root(world))

    own = await cached(world, "team/dev")
    direct = await world.client.get("/root/pypi/+cached")

    assert own == []
    assert direct.status == 401


@pytest.mark.parametrize("query", ["unused_for=often", "unused_for=-1d", "unused_for=1s", "project=%20"])
async def test_what_cannot_be_asked_for_is_said(world: World, query: str) -> None:
    answer = await world.client.get(f"/root/pypi/+cached?{query}")

    assert answer.status in (400, 404)
    assert "unused_for" in answer.text or "project" in answer.text
