"""Files on their way from upstream: shared, resumed, checked, kept only when whole."""

import asyncio
from pathlib import Path

import pytest

from tests.support.builders import Dist, a_wheel
from tests.support.client import Client
from tests.support.team import settled
from tests.support.upstream import Body, Cut, Drip, FakeUpstream, Redirect, Status
from tests.support.world import World, a_world

BIG = a_wheel(payload=bytes(range(256)) * 2000)


async def get(world: World, dist: Dist, **headers: str) -> tuple[int, bytes, bool]:
    answer = await world.client.get(f"/root/pypi/{dist.path}", **headers)
    return answer.status, answer.body, answer.broken


async def ended(world: World) -> None:
    """Wait until no download is in progress: what is whole is recorded then."""
    files = (await world.app.indexes.mirrors())[0].files
    while files._tasks:
        await asyncio.wait(list(files._tasks.values()))


def nothing_kept(world: World) -> bool:
    rows = world.app.db._watch.execute("SELECT count(*) FROM held WHERE digest IS NOT NULL").fetchone()[0]
    parts = list((world.path / "incoming").iterdir())
    return rows == 0 and not parts and not world.blobs


async def test_fifty_clients_of_a_cold_file_cost_one_download(world: World) -> None:
    world.upstream.add("pkg", BIG)

    answers = await asyncio.gather(*(get(world, BIG) for _ in range(50)))

    assert {body for _, body, _ in answers} == {BIG.content}
    assert world.upstream.count(f"/files/{BIG.filename}") == 1


async def test_two_workers_share_one_download(world: World) -> None:
    world.upstream.add("pkg", BIG)
    go = asyncio.Event()
    world.upstream.faults[f"/files/{BIG.filename}"] = Drip(1000, go)
    other = world.another_app()
    await other.open()
    try:
        clients = [world.client, Client(other)]
        waiting = [asyncio.ensure_future(client.get(f"/root/pypi/{BIG.path}")) for client in clients * 3]
        while world.upstream.count(f"/files/{BIG.filename}") == 0:
            await asyncio.sleep(0.01)
        go.set()
        answers = await asyncio.wait_for(asyncio.gather(*waiting), 20)
    finally:
        await other.close()

    assert {answer.body for answer in answers} == {BIG.content}
    assert world.upstream.count(f"/files/{BIG.filename}") == 1


async def test_a_client_that_hangs_up_does_not_stop_the_download(world: World) -> None:
    world.upstream.add("pkg", BIG)
    go = asyncio.Event()
    world.upstream.faults[f"/files/{BIG.filename}"] = [Drip(1000, go)]
    first = asyncio.ensure_future(get(world, BIG))
    while world.upstream.count(f"/files/{BIG.filename}") == 0:
        await asyncio.sleep(0.01)

    first.cancel()
    go.set()
    status, body, _ = await get(world, BIG)

    assert (status, body) == (200, BIG.content)
    assert world.upstream.count(f"/files/{BIG.filename}") == 1


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_cut_download_goes_on_where_it_was(tmp_path: Path, *, ranges: bool) -> None:
    async with a_world(tmp_path, upstream=FakeUpstream(ranges=ranges)) as world:
        world.upstream.add("pkg", BIG)
        world.upstream.faults[f"/files/{BIG.filename}"] = [Cut(100_000), Cut(200_000)]

        status, body, broken = await get(world, BIG)

        assert (status, body, broken) == (200, BIG.content, False)
        asked = [headers.get("Range") for _, path, headers in world.upstream.seen if path.startswith("/files/")]
        assert asked[0] is None
        assert all(asked[1:])


@pytest.mark.parametrize(
    "fault",
    [
        Body(b"x" * len(BIG.content)),
        Body(b"x" * 100),
        Body(BIG.content + b"x"),
        Body(b"<html>log in", "text/html"),
        Status(404),
        Status(500),
        Redirect("http://169.254.169.254/latest"),
        Redirect("file:///etc/passwd"),
        Redirect("http://[::ffff:169.254.169.254]/"),
    ],
    ids=["bytes", "short", "long", "html", "404", "500", "link-local", "file", "mapped"],
)
async def test_a_wrong_file_is_a_failed_transfer_and_nothing_of_it_is_kept(world: World, fault: Body) -> None:
    world.upstream.add("pkg", BIG, core_metadata=False)
    world.upstream.faults[f"/files/{BIG.filename}"] = fault

    status, body, broken = await get(world, BIG)

    assert status in (404, 502, 503) or broken
    assert body != BIG.content or broken
    await ended(world)
    assert nothing_kept(world)


async def test_after_a_wrong_file_the_right_one_is_had(world: World) -> None:
    world.upstream.add("pkg", BIG)
    world.upstream.faults[f"/files/{BIG.filename}"] = [Body(b"x" * len(BIG.content))]
    await get(world, BIG)

    status, body, broken = await get(world, BIG)

    assert (status, body, broken) == (200, BIG.content, False)


async def test_bytes_that_change_during_a_download_are_not_mixed(tmp_path: Path) -> None:
    async with a_world(tmp_path, upstream=FakeUpstream(ranges=False, hashes=False)) as world:
        world.upstream.add("pkg", BIG, core_metadata=False)
        page = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")
        link = page.json["files"][0]["url"].removeprefix("../../")
        world.upstream.faults[f"/files/{BIG.filename}"] = [Cut(100_000), Body(b"y" * len(BIG.content))]

        answer = await world.client.get(f"/root/pypi/{link}")

        assert answer.broken
        await ended(world)
        assert nothing_kept(world)


async def test_a_blob_that_vanished_is_fetched_again(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    await get(world, wheel)
    await ended(world)
    for blob in world.blobs:
        blob.unlink()

    status, body, _ = await get(world, wheel)

    assert (status, body) == (200, wheel.content)
    assert world.upstream.count(f"/files/{wheel.filename}") == 2


async def test_a_file_is_had_without_its_page_having_been_asked_for(world: World) -> None:
    wheel = a_wheel("some-name", "1.0+local.1")
    world.upstream.add("some-name", wheel)

    status, body, _ = await get(world, wheel)

    assert (status, body) == (200, wheel.content)


async def test_a_range_is_answered_while_the_file_is_not_here(world: World) -> None:
    world.upstream.add("pkg", BIG)

    tail = await get(world, BIG, range="bytes=-100")
    rest = await get(world, BIG, range=f"bytes={len(BIG.content) // 4}-")
    head = await world.client.head(f"/root/pypi/{BIG.path}")

    assert tail[:2] == (206, BIG.content[-100:])
    assert rest[:2] == (206, BIG.content[len(BIG.content) // 4 :])
    assert head.headers["content-length"] == str(len(BIG.content))
    assert head.headers["accept-ranges"] == "bytes"


async def test_changed_bytes_get_a_new_path_and_the_old_file_stays(world: World) -> None:
    old, new = a_wheel(payload=b"old"), a_wheel(payload=b"new")
    world.upstream.add("pkg", old)
    await get(world, old)
    await ended(world)
    world.upstream.add("pkg", new)
    world.clock.pass_s(4000)
    await world.client.get("/root/pypi/+simple/pkg/")

    assert (await get(world, old))[:2] == (200, old.content)
    assert (await get(world, new))[:2] == (200, new.content)
    assert world.app.metrics.counts["changed_files", ""] == 1


async def test_metadata_is_made_from_the_wheel_when_upstreams_is_wrong(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    world.upstream.faults[f"/files/{wheel.filename}.metadata"] = Body(b"Name: other\n")

    status, body, _ = await get(world, Dist(wheel.filename + ".metadata", wheel.content, b""))
    answer = await world.client.get(f"/root/pypi/{wheel.path}.metadata")

    assert status == 404 or body == wheel.metadata
    assert (answer.status, answer.body) == (200, wheel.metadata)


@pytest.mark.parametrize("ranges", [True, False])
async def test_metadata_is_made_when_upstream_has_none(tmp_path: Path, *, ranges: bool) -> None:
    async with a_world(tmp_path, upstream=FakeUpstream(metadata=False, ranges=ranges)) as world:
        world.upstream.add("pkg", BIG)
        before = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")

        answer = await world.client.get(f"/root/pypi/{BIG.path}.metadata")
        after = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")

    assert (answer.status, answer.body) == (200, BIG.metadata)
    assert before.json["files"][0]["core-metadata"] is True
    assert after.json["files"][0]["core-metadata"] == {"sha256": BIG.metadata_sha256}


async def test_a_wheel_without_metadata_is_said_to_have_none_once_that_is_known(tmp_path: Path) -> None:
    async with a_world(tmp_path, upstream=FakeUpstream(metadata=False)) as world:
        broken = Dist("pkg-1.0-py3-none-any.whl", b"PK not a zip", b"")
        world.upstream.add("pkg", broken)

        answer = await world.client.get(f"/root/pypi/{broken.path}.metadata")
        page = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")

    assert answer.status == 404
    assert page.json["files"][0]["core-metadata"] is False


async def test_a_quarantined_project_offers_nothing_not_even_what_is_held(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    await get(world, wheel)
    world.upstream.projects["pkg"].page["project-status"] = {"status": "quarantined"}
    world.clock.pass_s(4000)

    page = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")

    assert page.json["files"] == []
    assert page.json["project-status"] == {"status": "quarantined"}
    assert (await get(world, wheel))[0] == 403
    assert (await world.client.get(f"/root/pypi/{wheel.path}.metadata")).status == 403


async def test_external_urls_send_the_client_to_upstream(tmp_path: Path) -> None:
    async with a_world(tmp_path, keys={"mirror_use_external_urls": True}) as world:
        wheel = a_wheel()
        world.upstream.add("pkg", wheel)

        answer = await world.client.get(f"/root/pypi/{wheel.path}")

        assert answer.status == 302
        assert answer.headers["location"] == world.upstream.file_url(wheel)
        assert nothing_kept(world)


async def test_reading_ahead_has_what_an_installer_wants_next(tmp_path: Path) -> None:
    async with a_world(tmp_path, read_ahead="yes") as world:
        world.upstream.add("app", a_wheel("app", requires=("lib>=1",)))
        world.upstream.add("lib", a_wheel("lib", requires=("base",)))
        world.upstream.add("base", a_wheel("base"))

        await world.client.get("/root/pypi/+simple/app/", user_agent="pip/26.2")
        while world.upstream.count("/files/base-1.0-py3-none-any.whl.metadata") == 0:
            await asyncio.sleep(0.01)

        assert world.upstream.count("/simple/base/") == 1


async def test_pages_in_use_are_refreshed_before_they_expire(world: World) -> None:
    world.upstream.add("pkg", a_wheel())
    await world.client.get("/root/pypi/+simple/pkg/")
    mirror = (await world.app.indexes.mirrors())[0]
    world.clock.pass_s(1790)

    await mirror.refresh.once()
    world.clock.pass_s(100)
    await world.client.get("/root/pypi/+simple/pkg/")

    assert world.upstream.count("/simple/pkg/") == 2


async def test_a_small_file_that_vanished_from_the_disk_is_fetched_again_though_its_bytes_are_remembered(
    world: World,
) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    for _ in range(2):
        assert (await world.client.get(f"/root/pypi/{wheel.path}")).body == wheel.content
        await settled(world)
    for blob in world.blobs:
        blob.unlink()

    again = await world.client.get(f"/root/pypi/{wheel.path}")

    assert again.body == wheel.content
    assert world.upstream.count(f"/files/{wheel.filename}") == 2


async def test_ranges_of_a_small_file_are_its_own_bytes(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    await world.client.get(f"/root/pypi/{wheel.path}")
    await settled(world)

    whole = await world.client.get(f"/root/pypi/{wheel.path}")
    part = await world.client.get(f"/root/pypi/{wheel.path}", range="bytes=7-19")
    rest = await world.client.get(f"/root/pypi/{wheel.path}", range="bytes=-5")

    assert (whole.body, part.body, rest.body) == (wheel.content, wheel.content[7:20], wheel.content[-5:])
