"""The main job, in process."""

from tests.support.builders import a_wheel
from tests.support.world import World


async def test_a_wheel_is_listed_fetched_once_and_then_served_from_the_disk(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)

    page = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")
    link = page.json["files"][0]["url"]
    first = await world.client.get("/root/pypi/" + link.removeprefix("../../"))
    second = await world.client.get("/root/pypi/" + link.removeprefix("../../"))

    assert page.status == 200
    assert first.body == second.body == wheel.content
    assert world.upstream.count(f"/files/{wheel.filename}") == 1
