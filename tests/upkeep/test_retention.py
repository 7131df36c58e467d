"""Development releases that are superseded go, as if a person had removed them; others never do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import Dist, a_wheel
from tests.support.client import Answer
from tests.support.publish import a_team, upload
from tests.support.world import World, a_world

VERSIONS = ["1.0.dev1", "1.0.dev2", "1.0", "1.1.dev1", "1.1.dev2"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        await a_team(made.client)
        for version in VERSIONS:
            await publish(made, "pkg", version)
        await made.app.keeper.minute()
        yield made


async def publish(world: World, project: str, version: str, index: str = "team/dev") -> Dist:
    wheel = a_wheel(project, version)
    assert (await upload(world.client, index, wheel, project, version)).status == 200
    return wheel


async def configure(world: World, **keys: Any) -> None:
    answer = await world.client.send("PATCH", "/team/dev", keys, user="team")
    assert answer.status == 200, answer.text


async def versions(world: World, project: str = "pkg") -> list[str]:
    page = await world.client.get(f"/team/dev/+simple/{project}/", accept="application/vnd.pypi.simple.v1+json")
    return sorted(file["filename"].split("-")[1] for file in page.json["files"])


async def due(world: World, query: str = "") -> Answer:
    return await world.client.get(f"/team/dev/+retention{query}", accept="application/json")


async def test_without_a_rule_everything_stays(world: World) -> None:
    before = world.everything()

    await world.app.keeper.hour()

    assert world.everything() == before
    assert (await due(world)).json["result"] == {"keep": None, "count": 0, "bytes": 0, "releases": []}


async def test_the_newest_development_releases_stay(world: World) -> None:
    await configure(world, retain_dev_releases=2)

    await world.app.keeper.hour()

    assert await versions(world) == ["1.0", "1.1.dev1", "1.1.dev2"]


async def test_a_removed_file_says_so_and_its_log_stays(world: World) -> None:
    await configure(world, retain_dev_releases=2)

    await world.app.keeper.hour()

    assert (await world.client.get(f"/team/dev/{a_wheel('pkg', '1.0.dev1').path}")).status == 410
    assert (await world.client.get("/team/dev/pkg/1.0.dev1", accept="application/json")).status == 404


async def test_the_rule_is_applied_after_an_upload(world: World) -> None:
    await configure(world, retain_dev_releases=2)
    await publish(world, "pkg", "1.1.dev3")

    await world.app.keeper.minute()

    assert await versions(world) == ["1.0", "1.1.dev2", "1.1.dev3"]


async def test_nothing_but_what_changed_is_looked_at_before_the_hour(world: World) -> None:
    await configure(world, retain_dev_releases=2)
    await publish(world, "other", "1.0.dev1")

    await world.app.keeper.minute()

    assert await versions(world) == sorted(VERSIONS)
    assert await versions(world, "other") == ["1.0.dev1"]


async def test_the_newest_release_stays_even_if_none_is_to(world: World) -> None:
    await configure(world, retain_dev_releases=0)
    await publish(world, "other", "1.0.dev1")

    await world.app.keeper.hour()

    assert await versions(world) == ["1.0", "1.1.dev2"]
    assert await versions(world, "other") == ["1.0.dev1"]


async def test_many_go_in_steps(world: World) -> None:
    for n in range(3, 20):
        await publish(world, "pkg", f"1.1.dev{n}")
    await configure(world, retain_dev_releases=1)

    await world.app.keeper.hour()

    assert await versions(world) == ["1.0", "1.1.dev19"]


async def test_what_would_go_is_shown_and_nothing_changes(world: World) -> None:
    before = world.everything()

    shown = (await due(world, "?keep=2")).json

    sizes = [len(a_wheel("pkg", version).content) for version in ("1.0.dev1", "1.0.dev2")]
    assert shown == {
        "type": "retention",
        "result": {
            "keep": 2, "count": 2, "bytes": sum(sizes),
            "releases": [
                {"project": "pkg", "version": version, "files": 1, "bytes": size}
                for version, size in zip(("1.0.dev1", "1.0.dev2"), sizes, strict=True)
            ],
        },
    }  # fmt: skip
    assert world.everything() == before


async def test_what_the_index_own_rule_would_remove_is_shown(world: World) -> None:
    await configure(world, retain_dev_releases=3)

    assert [one["version"] for one in (await due(world)).json["result"]["releases"]] == ["1.0.dev1"]
    assert (await world.client.get("/+status")).json["result"]["disk"]["would_free"] == len(
        a_wheel("pkg", "1.0.dev1").content
    )


async def test_a_number_that_is_none_is_refused(world: World) -> None:
    for keep in ("-1", "many", ""):
        answer = await due(world, f"?keep={keep}")
        assert (answer.status, "retain_dev_releases" in answer.text) == (400, True)


async def test_an_index_that_is_not_volatile_any_more_keeps_everything(world: World) -> None:
    await configure(world, retain_dev_releases=0, volatile=False)
    before = world.everything()

    await world.app.keeper.hour()

    assert world.everything() == before
    assert (await due(world)).json["result"]["releases"] == []


async def test_other_indexes_are_not_touched(world: World) -> None:
    await publish(world, "pkg", "1.0.dev1", "team/prod")
    await publish(world, "pkg", "1.0.dev2", "team/prod")
    await configure(world, retain_dev_releases=0)

    await world.app.keeper.hour()

    for version in ("1.0.dev1", "1.0.dev2"):
        assert (await world.client.get(f"/team/prod/{a_wheel('pkg', version).path}")).status == 200


async def test_a_mirror_has_no_development_releases_to_retain(world: World) -> None:
    shown = await world.client.get("/root/pypi/+retention?keep=0", accept="application/json")

    assert shown.json["result"]["releases"] == []
