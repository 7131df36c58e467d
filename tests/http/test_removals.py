"""What is removed, what stays of it, and what protects it."""

import asyncio

import pytest

from tests.http.test_uploads import page
from tests.support.builders import a_wheel, an_sdist
from tests.support.client import Answer
from tests.support.publish import a_user, an_index, upload
from tests.support.world import World


async def delete(world: World, url: str, user: str | None = "team") -> Answer:
    return await world.client.send("DELETE", url, user=user)


async def until_held(world: World, path: str) -> None:
    """A download ends a moment after its last byte."""
    mirror = (await world.app.indexes.mirrors())[0]
    while (task := mirror.files._tasks.get(path)) is not None:
        await asyncio.wait([task])
        await asyncio.sleep(0)


async def as_root(world: World, method: str, url: str) -> Answer:
    return await world.client.send(method, url, authorization=f"Bearer {world.app.login.new_token('root')}")


async def test_a_version_goes_with_all_its_files(world: World) -> None:
    wheel, sdist = a_wheel(), an_sdist()
    for dist in (wheel, sdist):
        await upload(world.client, "team/dev", dist)
    await upload(world.client, "team/dev", a_wheel("pkg", "2.0"), version="2.0")

    answer = await delete(world, "/team/dev/pkg/1.0")

    assert (answer.status, answer.json) == (200, {"message": "project 'pkg' version '1.0' deleted"})
    assert (await page(world))["versions"] == ["2.0"]
    for dist in (wheel, sdist):
        assert (await world.client.get(f"/team/dev/{dist.path}")).status == 410


async def test_the_last_file_takes_its_version_and_project_along(world: World) -> None:
    wheel, sdist = a_wheel(), an_sdist()
    for dist in (wheel, sdist):
        await upload(world.client, "team/dev", dist)

    first = await delete(world, f"/team/dev/{wheel.path}")
    assert first.json == {"message": f"package 'team/dev/{wheel.path}' deleted"}
    assert (await page(world))["versions"] == ["1.0"]
    await delete(world, f"/team/dev/{sdist.path}")

    assert (await world.client.get("/team/dev/pkg", accept="application/json")).status == 404
    assert "pkg" not in (await world.client.get("/team/dev", accept="application/json")).json["result"]["projects"]


async def test_a_project_goes_with_everything(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await delete(world, "/team/dev/pkg/")

    assert answer.json == {"message": "project pkg deleted from stage team/dev"}
    assert (await world.client.get("/team/dev/+simple/pkg/")).status == 404


async def test_a_removed_file_can_be_uploaded_again(world: World) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)
    await delete(world, "/team/dev/pkg")

    await upload(world.client, "team/dev", wheel)

    assert (await world.client.get(f"/team/dev/{wheel.path}")).body == wheel.content


@pytest.mark.parametrize("what", ["pkg", "pkg/1.0", "file"])
async def test_a_non_volatile_index_gives_nothing_away_without_force(world: World, what: str) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/prod", wheel)
    url = f"/team/prod/{wheel.path if what == 'file' else what}"
    before = world.everything()

    refused = await delete(world, url)

    assert refused.status == 403
    assert "non-volatile" in refused.json["message"]
    assert world.everything() == before
    assert (await delete(world, url + "?force")).status == 200


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/team/dev/nothing", "project not found"),
        ("/team/dev/pkg/9.9", "version '9.9' of project 'pkg' not found on stage 'team/dev'"),
        ("/team/dev/+f/aaa/bbbbbbbbbbbbb/pkg-1.0.tar.gz", "doesn't exist"),
        ("/team/nothing/pkg", "could not be found"),
    ],
)
async def test_what_is_not_there_is_not_removed(world: World, url: str, words: str) -> None:
    await upload(world.client, "team/dev", a_wheel())
    before = world.everything()

    answer = await delete(world, url)

    assert answer.status == 404
    assert words in answer.json["message"]
    assert world.everything() == before


async def test_a_file_that_is_gone_stays_gone(world: World) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)
    await delete(world, f"/team/dev/{wheel.path}")

    answer = await delete(world, f"/team/dev/{wheel.path}")

    assert answer.status == 410
    assert "existed, deleted in later serial" in answer.json["message"]


async def test_an_uploader_may_remove_and_a_stranger_may_not(world: World) -> None:
    for name in ("ci", "stranger"):
        await a_user(world.client, name)
    await an_index(world.client, "team", "shared", acl_upload="ci")
    await upload(world.client, "team/shared", a_wheel(), user="ci")

    assert (await delete(world, "/team/shared/pkg", "stranger")).status == 403
    assert (await delete(world, "/team/shared/pkg", None)).status == 401
    assert (await delete(world, "/team/shared/pkg", "ci")).status == 200


async def test_what_a_mirror_holds_can_be_dropped_and_is_fetched_again(world: World) -> None:
    wheel = a_wheel("pub", "1.0")
    world.upstream.add("pub", wheel)
    await world.client.get("/root/pypi/+simple/pub/")
    await world.client.get(f"/root/pypi/{wheel.path}")
    await until_held(world, wheel.path)

    assert (await as_root(world, "DELETE", f"/root/pypi/{wheel.path}")).status == 403
    for url in (f"/root/pypi/{wheel.path}", "/root/pypi/pub/1.0", "/root/pypi/pub"):
        got = await world.client.get(f"/root/pypi/{wheel.path}")
        await until_held(world, wheel.path)
        assert got.body == wheel.content
        dropped = await as_root(world, "DELETE", url + "?force")
        assert dropped.status == 200, dropped.text

    assert (await as_root(world, "DELETE", "/root/pypi/nothing?force")).status == 404
    assert (await as_root(world, "DELETE", "/root/pypi/pub/9?force")).status == 404
    assert (await as_root(world, "DELETE", "/root/pypi/+f/a/b/c.whl?force")).status == 404
    downloads = [path for method, path, _ in world.upstream.seen if path.startswith("/files/") and method == "GET"]
    assert downloads.count(f"/files/{wheel.filename}") == 3


async def test_a_removed_index_takes_everything_along(world: World) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)

    answer = await delete(world, "/team/dev")

    assert (answer.status, answer.json) == (201, {"message": "index team/dev deleted"})
    assert (await world.client.get(f"/team/dev/{wheel.path}")).status == 404
    await an_index(world.client, "team", "dev")
    assert (await world.client.get("/team/dev/+simple/pkg/")).status == 404


async def test_non_volatile_indexes_and_their_users_stay(world: World) -> None:
    before = world.everything()

    index = await delete(world, "/team/prod")
    user = await delete(world, "/team")

    assert (index.status, index.json["message"]) == (403, "index team/prod non-volatile, cannot delete")
    assert (user.status, user.json["message"]) == (403, "user 'team' has non-volatile index: prod")
    assert world.everything() == before


async def test_a_removed_user_takes_his_indexes_along(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await world.client.send("PATCH", "/team/prod", ["volatile=True"], user="team")

    answer = await delete(world, "/team")

    assert answer.json == {"message": "user 'team' deleted"}
    for url in ("/team", "/team/dev", "/team/dev/+simple/pkg/"):
        assert (await world.client.get(url, accept="application/json")).status == 404
