"""Files that are here: ranges, validators, headers."""

import asyncio

import pytest

from tests.support.builders import Dist, a_wheel, an_sdist
from tests.support.client import Client
from tests.support.world import World

WHEEL = a_wheel(payload=bytes(200_000))
SIZE = len(WHEEL.content)


async def held(world: World, dist: Dist = WHEEL) -> str:
    world.upstream.add("pkg", dist)
    url = f"/root/pypi/{dist.path}"
    await world.client.get(url)
    files = (await world.app.indexes.mirrors())[0].files
    if files._tasks:
        await asyncio.wait(list(files._tasks.values()))
    return url


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=5-", 5, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
        (f"bytes=0-{SIZE + 100}", 0, SIZE),
        (f"bytes=-{SIZE + 100}", 0, SIZE),
    ],
)
@pytest.mark.parametrize("paths", [True, False])
async def test_a_range_is_answered_with_just_that(
    world: World, asked: str, first: int, end: int, *, paths: bool
) -> None:
    url = await held(world)

    answer = await Client(world.app, paths=paths).get(url, range=asked)

    assert answer.status == 206
    assert answer.body == WHEEL.content[first:end]
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=a-b", "items=0-1", "bytes=5-2", "bytes=0-1,4-5", "bytes=-", "x" * 5000])
async def test_a_range_that_makes_no_sense_is_ignored(world: World, asked: str) -> None:
    url = await held(world)

    answer = await world.client.get(url, range=asked)

    assert (answer.status, answer.body) == (200, WHEEL.content)


async def test_a_range_behind_the_end_is_416(world: World) -> None:
    url = await held(world)

    answer = await world.client.get(url, range=f"bytes={SIZE}-")

    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_if_range_gives_the_part_only_of_the_same_file(world: World) -> None:
    url = await held(world)

    same = await world.client.get(url, range="bytes=0-1", if_range=f'"{WHEEL.sha256}"')
    other = await world.client.get(url, range="bytes=0-1", if_range='"other"')

    assert (same.status, other.status) == (206, 200)


async def test_a_file_has_its_hash_as_etag_and_is_for_ever(world: World) -> None:
    url = await held(world)

    answer = await world.client.get(url)
    again = await world.client.get(url, if_none_match=answer.headers["etag"])

    assert answer.headers["etag"] == f'"{WHEEL.sha256}"'
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in answer.headers
    assert again.status == 304


@pytest.mark.parametrize(
    ("dist", "kind"),
    [(a_wheel(), "application/octet-stream"), (an_sdist(), "application/gzip")],
    ids=["wheel", "sdist"],
)
async def test_content_types_are_right(world: World, dist: Dist, kind: str) -> None:
    url = await held(world, dist)

    assert (await world.client.head(url)).headers["content-type"] == kind
    assert (await world.client.head(url)).headers["content-length"] == str(len(dist.content))


async def test_a_file_without_a_hash_has_a_path_by_its_url(world: World) -> None:
    world.upstream.hashes = False
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    page = await world.client.get("/root/pypi/+simple/pkg/", accept="application/vnd.pypi.simple.v1+json")
    link = page.json["files"][0]["url"]

    answer = await world.client.get("/root/pypi/" + link.removeprefix("../../"))

    assert link == f"../../+e/http_127.0.0.1_{world.upstream.port}_files/{wheel.filename}"
    assert answer.body == wheel.content


async def test_metadata_is_a_file_beside_the_wheel_byte_for_byte(world: World) -> None:
    world.upstream.add("pkg", WHEEL)

    answer = await world.client.get(f"/root/pypi/{WHEEL.path}.metadata")
    part = await world.client.get(f"/root/pypi/{WHEEL.path}.metadata", range="bytes=0-7")

    assert answer.body == WHEEL.metadata
    assert part.body == b"Metadata"
