"""Upstream fails, in each of its ways: what clients get, and what is kept."""

import asyncio
from pathlib import Path

import pytest

from tests.support.builders import a_wheel
from tests.support.upstream import Body, FakeUpstream, Status, Wait
from tests.support.world import World, a_world

PAGE = "/root/pypi/+simple/pkg/"
JSON = "application/vnd.pypi.simple.v1+json"


async def files_of(world: World, path: str = PAGE) -> list[str]:
    answer = await world.client.get(path, accept=JSON)
    assert answer.status == 200, answer.text
    return [file["filename"] for file in answer.json["files"]]


@pytest.mark.parametrize("fault", [Status(500), Status(503), Status(403), Body(b"<p>log in</p>", "text/plain")])
async def test_an_expired_page_is_served_stale_when_upstream_gives_nothing_usable(
    world: World, fault: Status | Body
) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    await files_of(world)
    world.clock.pass_s(4000)
    world.upstream.faults["/simple/pkg/"] = fault

    files = await files_of(world)

    assert files == [wheel.filename]


async def test_an_expired_page_costs_one_conditional_request_and_no_log_entry(world: World) -> None:
    world.upstream.add("pkg", a_wheel())
    await files_of(world)
    await (await world.app.indexes.mirrors())[0].projects.stored()
    serial = world.app.db.news()
    world.clock.pass_s(4000)

    await files_of(world)
    await files_of(world)

    assert world.upstream.count("/simple/pkg/") == 2
    await (await world.app.indexes.mirrors())[0].projects.stored()
    assert "If-None-Match" in world.upstream.seen[-1][2]
    assert world.app.db.news() == serial


async def test_freshness_survives_a_restart(world: World) -> None:
    world.upstream.add("pkg", a_wheel())
    await files_of(world)

    await world.restart()
    await files_of(world)

    assert world.upstream.count("/simple/pkg/") == 1


async def test_a_page_that_was_never_seen_is_an_error_while_upstream_fails(world: World) -> None:
    world.upstream.faults["/simple/pkg/"] = Status(500)

    answer = await world.client.get(PAGE)

    assert answer.status == 503
    assert "retry-after" in answer.headers
    assert not world.blobs


async def test_an_unknown_project_is_asked_for_once_and_never_written_down(world: World) -> None:
    serial = world.app.db.news()

    first = await world.client.get(PAGE)
    second = await world.client.get(PAGE)

    assert (first.status, second.status) == (404, 404)
    assert world.upstream.count("/simple/pkg/") == 1
    assert world.app.db.news() == serial


async def test_a_project_that_appears_is_found_after_a_minute(world: World) -> None:
    await world.client.get(PAGE)
    world.upstream.add("pkg", a_wheel())
    world.clock.pass_s(61)

    files = await files_of(world)

    assert files == [a_wheel().filename]


async def test_an_older_serial_than_the_one_kept_is_refused(world: World) -> None:
    world.upstream.add("pkg", a_wheel(version="1.0"))
    world.upstream.projects["pkg"].serial = 20
    await files_of(world)
    world.upstream.add("pkg", a_wheel(version="0.9"))
    world.upstream.projects["pkg"].serial = 19
    world.clock.pass_s(4000)

    files = await files_of(world)

    assert files == [a_wheel(version="1.0").filename]


async def test_a_clock_set_back_does_not_keep_a_page_for_ever(world: World) -> None:
    world.upstream.add("pkg", a_wheel(version="1.0"))
    await files_of(world)
    world.upstream.add("pkg", a_wheel(version="2.0"))
    world.clock.pass_s(-100_000)

    files = await files_of(world)

    assert len(files) == 2


async def test_a_slow_revalidation_ends_in_the_kept_page_and_goes_on_behind(tmp_path: Path) -> None:
    async with a_world(tmp_path, request_timeout=0.2) as world:
        world.upstream.add("pkg", a_wheel(version="1.0"))
        await files_of(world)
        world.upstream.add("pkg", a_wheel(version="2.0"))
        world.clock.pass_s(4000)
        go = asyncio.Event()
        world.upstream.faults["/simple/pkg/"] = [Wait(go)]

        stale = await files_of(world)
        go.set()
        world.clock.pass_s(4000)
        news = await files_of(world)

    assert len(stale) == 1
    assert len(news) == 2


async def test_three_failures_open_the_circuit_and_then_nobody_asks(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        wheel = a_wheel()
        world.upstream.add("pkg", wheel, a_wheel(version="2.0"))
        await files_of(world)
        await world.client.get(f"/root/pypi/{wheel.path}")
        await world.upstream.stop()
        world.clock.pass_s(4000)
        await files_of(world)
        asked = len(world.upstream.seen)

        held = await files_of(world)
        status = (await world.client.get("/+status")).json["result"]["upstreams"]["root/pypi"]
        for number in range(200):
            await world.client.get(f"/root/pypi/+simple/other{number}/")

        assert held == [wheel.filename]
        assert status["state"] == "down"
        assert len(world.upstream.seen) == asked


async def test_full_pages_return_by_themselves_when_upstream_is_back(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        wheel = a_wheel()
        world.upstream.add("pkg", wheel, a_wheel(version="2.0"))
        await files_of(world)
        await world.client.get(f"/root/pypi/{wheel.path}")
        await world.upstream.stop()
        world.clock.pass_s(4000)
        down = await files_of(world)
        back = asyncio.Event()
        mirror = (await world.app.indexes.mirrors())[0]
        mirror.upstream.on_change(back.set)

        await world.upstream.start()
        await asyncio.wait_for(back.wait(), 20)
        up = await files_of(world)

    assert (len(down), len(up)) == (1, 2)


async def test_full_stale_pages_can_be_chosen_instead(tmp_path: Path) -> None:
    async with a_world(tmp_path, offline_fallback="no") as world:
        world.upstream.add("pkg", a_wheel(), a_wheel(version="2.0"))
        await files_of(world)
        await world.upstream.stop()
        world.clock.pass_s(4000)

        first, second = await files_of(world), await files_of(world)

    assert len(first) == len(second) == 2


async def test_offline_mode_lists_and_serves_what_is_held_and_says_what_is_missing(world: World) -> None:
    wheel, other = a_wheel(), a_wheel(version="2.0")
    world.upstream.add("pkg", wheel, other)
    world.upstream.add("never", a_wheel("never"))
    await files_of(world)
    await files_of(world, "/root/pypi/+simple/never/")
    await world.client.get(f"/root/pypi/{wheel.path}")
    asked = len(world.upstream.seen)

    await world.restart(offline_mode="yes")
    page = await files_of(world)
    held = await world.client.get(f"/root/pypi/{wheel.path}")
    missing = await world.client.get(f"/root/pypi/{other.path}")
    never = await world.client.get("/root/pypi/+simple/never/")
    unknown = await world.client.get("/root/pypi/+simple/unknown/")

    assert page == [wheel.filename]
    assert held.body == wheel.content
    assert missing.status == 503
    assert other.filename in missing.text
    assert (never.status, unknown.status) == (404, 404)
    assert "offline mode" in never.text
    assert len(world.upstream.seen) == asked


@pytest.mark.parametrize("speaks", ["html", "json"])
async def test_an_upstream_that_speaks_only_one_form_is_given_in_both(tmp_path: Path, speaks: str) -> None:
    async with a_world(tmp_path, upstream=FakeUpstream(speaks=speaks)) as world:
        wheel = a_wheel()
        world.upstream.add("pkg", wheel)

        as_json = await world.client.get(PAGE, accept=JSON)
        as_html = await world.client.get(PAGE, accept="text/html")

    assert as_json.json["meta"]["api-version"] == ("1.0" if speaks == "html" else "1.4")
    assert wheel.sha256 in as_html.text
    assert as_json.json["files"][0]["core-metadata"] == {"sha256": wheel.metadata_sha256}


async def test_credentials_go_to_their_origin_only_and_are_shown_nowhere(tmp_path: Path) -> None:
    async with FakeUpstream() as files, a_world(tmp_path) as world:
        wheel = a_wheel()
        files.add("pkg", wheel)
        world.upstream.users = {"me": "s3cret-word"}
        world.upstream.add("pkg", wheel, url=files.file_url(wheel))
        url = world.upstream.url.replace("//", "//me:s3cret-word@")
        await world.app.db.write(_reconfigure, url)

        page = await world.client.get(PAGE)
        body = await world.client.get(f"/root/pypi/{wheel.path}")
        shown = [await world.client.get(path) for path in ("/", "/root", "/root/pypi?no_projects", "/+status")]

    assert page.status == 200
    assert body.body == wheel.content
    assert all("Authorization" not in headers for _, _, headers in files.seen)
    assert all("s3cret-word" not in answer.text for answer in shown)


def _reconfigure(tx: object, url: str) -> None:
    from stilton.db import accounts
    from stilton.db.database import Transaction
    from stilton.domain.indexes import Index

    assert isinstance(tx, Transaction)
    accounts.put_index(tx, Index("root", "pypi", {"type": "mirror", "volatile": False, "mirror_url": url}))


async def test_a_hundred_callers_of_one_page_cost_one_request(world: World) -> None:
    world.upstream.add("pkg", a_wheel())

    answers = await asyncio.gather(*(world.client.get(PAGE) for _ in range(100)))

    assert {answer.status for answer in answers} == {200}
    assert world.upstream.count("/simple/pkg/") == 1


async def test_the_list_of_all_projects_is_never_fetched_for_an_install(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)

    await files_of(world)
    await world.client.get(f"/root/pypi/{wheel.path}")

    assert world.upstream.count("/simple/") == 0
