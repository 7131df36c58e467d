"""Yanking, project status and test results of one's own releases."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.http.test_uploads import page
from tests.support.builders import a_wheel, an_sdist
from tests.support.client import Answer
from tests.support.publish import a_team, a_user, upload
from tests.support.world import World, a_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        await a_team(made.client)
        await upload(made.client, "team/prod", a_wheel())
        await upload(made.client, "team/prod", an_sdist())
        yield made


async def patch(world: World, path: str, document: Any, user: str | None = "team") -> Answer:
    return await world.client.send("PATCH", f"/team/prod/{path}", document, user=user)


async def yanked(world: World) -> dict[str, Any]:
    return {file["filename"]: file["yanked"] for file in (await page(world, "team/prod"))["files"]}


@pytest.mark.parametrize(("said", "shown"), [(True, True), ("broken on 3.13", "broken on 3.13"), ("", True)])
async def test_a_yanked_release_says_so_on_all_its_files_until_it_is_taken_back(
    world: World, said: bool | str, shown: bool | str
) -> None:
    answer = await patch(world, "pkg/1.0", {"yanked": said})

    assert answer.status == 200
    assert set((await yanked(world)).values()) == {shown}
    html = (await world.client.get("/team/prod/+simple/pkg/")).text
    assert html.count(f'data-yanked="{"" if shown is True else shown}"') == 2
    data = (await world.client.get("/team/prod/pkg/1.0", accept="application/json")).json["result"]
    assert data["yanked"] == shown

    await patch(world, "pkg/1.0", {"yanked": False})
    assert set((await yanked(world)).values()) == {False}


async def test_one_file_may_be_yanked_alone(world: World) -> None:
    wheel = a_wheel()

    await patch(world, wheel.path, {"yanked": "bad build"})

    assert await yanked(world) == {wheel.filename: "bad build", "pkg-1.0.tar.gz": False}
    await patch(world, wheel.path, {"yanked": False})
    assert set((await yanked(world)).values()) == {False}


@pytest.mark.parametrize("document", [{}, {"yanked": 1}, {"yanked": None}, {"yanked": True, "x": 1}, [], "x"])
async def test_what_is_no_yanking_is_refused(world: World, document: Any) -> None:
    before = world.everything()

    answer = await patch(world, "pkg/1.0", document)

    assert answer.status == 400
    assert world.everything() == before


async def test_a_reason_is_one_line(world: World) -> None:
    for reason in ("two\nlines", "x" * 1001, "a\x00b"):
        assert (await patch(world, "pkg/1.0", {"yanked": reason})).status == 400


@pytest.mark.parametrize("path", ["pkg/9", "nothing/1.0", "+f/aaa/bbbbbbbbbbbbb/pkg-1.0.tar.gz"])
async def test_what_is_not_there_is_not_yanked(world: World, path: str) -> None:
    before = world.everything()

    assert (await patch(world, path, {"yanked": True})).status == 404
    assert world.everything() == before


async def test_strangers_change_nothing(world: World) -> None:
    await a_user(world.client, "stranger")
    before = world.everything()

    for path, document in (
        ("pkg/1.0", {"yanked": True}),
        (a_wheel().path, {"yanked": True}),
        ("pkg", {"status": "archived"}),
    ):
        assert (await patch(world, path, document, "stranger")).status == 403
        assert (await patch(world, path, document, None)).status == 401
    assert world.everything() == before


async def test_a_mirrors_releases_are_its_upstreams_to_yank(world: World) -> None:
    token = f"Bearer {world.app.login.new_token('root')}"

    answer = await world.client.send("PATCH", "/root/pypi/pkg/1.0", {"yanked": True}, authorization=token)

    assert answer.status == 400
    assert "mirror" in answer.json["message"]


async def test_a_status_is_shown_with_its_reason(world: World) -> None:
    answer = await patch(world, "pkg", {"status": "deprecated", "reason": "see other"})

    assert answer.status == 200
    assert (await page(world, "team/prod"))["project-status"] == {"status": "deprecated", "reason": "see other"}
    html = (await world.client.get("/team/prod/+simple/pkg/")).text
    assert '<meta name="pypi:project-status" content="deprecated">' in html
    await patch(world, "pkg", {"status": "active"})
    assert "project-status" not in await page(world, "team/prod")


async def test_a_quarantined_project_offers_no_file_by_any_way(world: World) -> None:
    wheel = a_wheel()
    assert (await world.client.get(f"/team/prod/{wheel.path}")).status == 200

    await patch(world, "pkg", {"status": "quarantined", "reason": "malware"})

    assert (await page(world, "team/prod"))["files"] == []
    for suffix in ("", ".metadata"):
        assert (await world.client.get(f"/team/prod/{wheel.path}{suffix}")).status == 403
    assert (await upload(world.client, "team/prod", a_wheel("pkg", "2.0"), version="2.0")).status == 409
    await patch(world, "pkg", {"status": "active"})
    assert (await world.client.get(f"/team/prod/{wheel.path}")).body == wheel.content


@pytest.mark.parametrize(
    "document", [{}, {"status": "on fire"}, {"status": "archived", "x": 1}, {"status": "archived", "reason": 5}]
)
async def test_what_is_no_status_is_refused(world: World, document: Any) -> None:
    before = world.everything()

    assert (await patch(world, "pkg", document)).status == 400
    assert world.everything() == before


async def test_a_test_result_is_kept_beside_its_file(world: World) -> None:
    wheel = a_wheel()
    result = b'{"testenvs": {"py311": {}}}  '

    answer = await world.client.request("POST", f"/team/prod/{wheel.path}", result, accept="application/json")

    assert (answer.status, answer.json["type"]) == (200, "toxresultpath")
    path = answer.json["result"]
    folder = wheel.path.rpartition("/")[0]
    assert path == f"team/prod/{folder}/{wheel.filename}.toxresult-20250615150640-0"
    assert (await world.client.get(f"/{path}")).body == result
    links = (await world.client.get("/team/prod/pkg/1.0", accept="application/json")).json["result"]["+links"]
    (link,) = [link for link in links if link["rel"] == "toxresult"]
    assert link["for_href"].endswith(wheel.path)
    assert link["log"][0]["who"] is None


async def test_results_of_one_second_are_told_apart(world: World) -> None:
    paths = set()
    for _ in range(3):
        answer = await world.client.send("POST", f"/team/prod/{a_wheel().path}", {"same": 1})
        paths.add(answer.json["result"])

    assert len(paths) == 3


async def test_results_go_with_their_file(world: World) -> None:
    path = (await world.client.send("POST", f"/team/prod/{a_wheel().path}", {})).json["result"]

    await world.client.send("DELETE", f"/team/prod/{a_wheel().path}?force", user="team")

    assert (await world.client.get(f"/{path}")).status == 410


@pytest.mark.parametrize(("body", "status"), [(b"no json", 400), (b"", 400), (b"[" * 10_000, 400)])
async def test_what_is_no_result_is_refused(world: World, body: bytes, status: int) -> None:
    before = world.everything()

    answer = await world.client.request("POST", f"/team/prod/{a_wheel().path}", body, accept="application/json")

    assert answer.status == status
    assert world.everything() == before


async def test_who_may_not_add_results_is_told_what_to_do(world: World) -> None:
    await world.client.send("PATCH", "/team/prod", ["acl_toxresult_upload=team"], user="team")
    before = world.everything()

    answer = await world.client.send("POST", f"/team/prod/{a_wheel().path}", {})

    assert answer.status == 403
    assert "devpi test --no-upload" in answer.json["message"]
    assert world.everything() == before


async def test_a_result_of_no_file_is_refused(world: World) -> None:
    answer = await world.client.send("POST", "/team/prod/+f/aaa/bbbbbbbbbbbbb/pkg-1.0.tar.gz", {})

    assert answer.status == 404
    assert "no release file found at team/prod/+f/aaa" in answer.json["message"]


async def test_about_a_file(world: World) -> None:
    wheel = a_wheel()

    answer = await world.client.get(f"/team/prod/{wheel.path}", accept="application/json")

    assert answer.json["type"] == "releasefilemeta"
    assert answer.json["result"] == {
        "hash_spec": f"sha256={wheel.sha256}",
        "hashes": {"sha256": wheel.sha256},
        "last_modified": "Sun, 15 Jun 2025 15:06:40 GMT",
        "project": "pkg",
        "version": "1.0",
        "size": len(wheel.content),
    }
