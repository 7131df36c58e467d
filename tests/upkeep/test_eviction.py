"""A mirror's cache below its limits, pins, the low-disk watermark, and who sees how much."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stilton.domain.circuit import OPEN_AFTER
from stilton.domain.names import IndexName
from tests.support.builders import Dist, a_wheel
from tests.support.client import Answer
from tests.support.publish import a_team, upload
from tests.support.team import root, settled
from tests.support.upstream import Status
from tests.support.world import START, World, a_world

HOUR = 3600.0
WHEELS = [a_wheel(f"pkg{n}", payload=bytes(1000)) for n in range(4)]
SIZE = len(WHEELS[0].content)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        await a_team(made.client)
        for n, wheel in enumerate(WHEELS):
            made.upstream.add(f"pkg{n}", wheel)
        yield made


async def hold(world: World, *wheels: Dist) -> None:
    """Fetch these, an hour after each other, and let their bytes grow old on the disk."""
    for wheel in wheels:
        answer = await world.client.get(f"/root/pypi/{wheel.path}")
        assert answer.body == wheel.content
        await settled(world)
        world.clock.pass_s(HOUR)
    for blob in world.blobs:
        os.utime(blob, (START - HOUR * 10,) * 2)


async def configure(world: World, **keys: Any) -> None:
    answer = await world.client.send("PATCH", "/root/pypi", keys, **root(world))
    assert answer.status == 200, answer.text


async def pins(world: World, method: str, document: Any = None) -> Answer:
    return await world.client.send(method, "/root/pypi/+pins", document, **root(world))


def held(world: World) -> list[str]:
    """Names of the files whose bytes are here, by the database; each has its blob."""
    rows = world.everything()["held"]
    return [wheel.filename for wheel in WHEELS if any(wheel.sha256 in row and wheel.filename in row for row in rows)]


def on_disk(world: World) -> list[str]:
    digests = {blob.parent.name + blob.name for blob in world.blobs}
    return [wheel.filename for wheel in WHEELS if wheel.sha256 in digests]


def names(*numbers: int) -> list[str]:
    return [WHEELS[n].filename for n in numbers]


async def test_a_cache_that_is_too_large_loses_what_was_not_used_for_the_longest_time(world: World) -> None:
    await hold(world, *WHEELS)
    await configure(world, mirror_cache_max_size=SIZE * 3)

    await world.app.keeper.minute()

    # Down to nine tenths.
    assert held(world) == on_disk(world) == names(2, 3)
    assert (await world.client.get(f"/root/pypi/{WHEELS[0].path}")).body == WHEELS[0].content


async def test_what_is_asked_for_counts_as_used(world: World) -> None:
    await hold(world, *WHEELS)
    await configure(world, mirror_cache_max_size=SIZE * 4 - 1)
    await world.client.get(f"/root/pypi/{WHEELS[0].path}")

    await world.app.keeper.minute()

    assert held(world) == names(0, 2, 3)


async def test_a_use_is_written_at_most_once_an_hour(world: World) -> None:
    await hold(world, WHEELS[0])

    async def used_at() -> Any:
        await world.app.keeper.uses.flush()
        await world.client.get(f"/root/pypi/{WHEELS[0].path}")
        await world.app.keeper.uses.flush()
        [row] = [row for row in world.everything()["held"] if WHEELS[0].filename in row]
        return row

    first = await used_at()
    world.clock.pass_s(HOUR / 2)
    second = await used_at()
    world.clock.pass_s(HOUR / 2)
    third = await used_at()

    assert first == second != third


@pytest.mark.parametrize("jump_s", [-9000 * HOUR, 9000 * HOUR], ids=["back", "forward and back"])
async def test_uses_are_noted_though_the_clock_was_set(world: World, jump_s: float) -> None:
    await hold(world, *WHEELS)
    if jump_s > 0:
        world.clock.pass_s(jump_s)
        await world.client.get(f"/root/pypi/{WHEELS[0].path}")
        await world.app.keeper.minute()
    world.clock.pass_s(-abs(jump_s))
    for wheel in WHEELS[:2]:
        await world.client.get(f"/root/pypi/{wheel.path}")
    await world.app.keeper.minute()
    world.clock.pass_s(HOUR)
    await world.client.get(f"/root/pypi/{WHEELS[0].path}")
    await configure(world, mirror_cache_max_size=SIZE * 2.5)

    await world.app.keeper.minute()

    # Their bytes wait: by this clock they may be young.
    assert held(world) == names(0, 1)


async def test_a_use_is_not_forgotten_when_the_server_stops(world: World) -> None:
    await hold(world, WHEELS[0])
    await world.client.get(f"/root/pypi/{WHEELS[0].path}")

    await world.restart()

    [row] = [row for row in world.everything()["held"] if WHEELS[0].filename in row]
    assert row.endswith(f", {world.clock()}, 1)")


async def test_a_use_is_no_change_that_a_reader_sees(world: World) -> None:
    await hold(world, WHEELS[0])
    serial = world.app.db.serial
    await world.client.get(f"/root/pypi/{WHEELS[0].path}")

    await world.app.keeper.uses.flush()

    assert world.app.db.serial == serial


async def test_what_nobody_used_for_so_long_goes(world: World) -> None:
    await hold(world, *WHEELS)
    await configure(world, mirror_cache_max_age="2h")

    await world.app.keeper.minute()

    assert held(world) == names(2, 3)


async def test_without_a_limit_nothing_goes(world: World) -> None:
    await hold(world, *WHEELS)
    before = world.everything()

    await world.app.keeper.minute()
    await world.app.keeper.hour()

    assert world.everything() == before


async def test_nothing_goes_while_upstream_is_down_or_offline(world: World) -> None:
    await hold(world, *WHEELS)
    await configure(world, mirror_cache_max_age="1h")
    await world.upstream.stop()
    for n in range(OPEN_AFTER):
        await world.client.get(f"/root/pypi/+simple/unknown{n}/")
    assert world.app.indexes.mirror(IndexName("root/pypi")).is_down

    await world.app.keeper.minute()
    while_down = held(world)
    await world.restart(offline_mode="yes")
    await world.app.keeper.minute()

    assert while_down == held(world) == names(0, 1, 2, 3)


async def test_a_page_shows_an_evicted_file_as_upstreams_again(world: World) -> None:
    await hold(world, *WHEELS)
    await world.client.get("/root/pypi/+simple/pkg0/")
    await configure(world, mirror_cache_max_age="3h")

    await world.app.keeper.minute()
    page = await world.client.get("/root/pypi/+simple/pkg0/", accept="application/vnd.pypi.simple.v1+json")

    assert [file["filename"] for file in page.json["files"]] == names(0)


async def test_bytes_that_a_private_index_has_stay(world: World) -> None:
    await hold(world, *WHEELS)
    assert (await upload(world.client, "team/dev", WHEELS[0], "pkg0")).status == 200
    os.utime(world.app._place.blobs.path(WHEELS[0].sha256), (START - HOUR * 10,) * 2)
    await configure(world, mirror_cache_max_age="1h")

    await world.app.keeper.minute()

    assert held(world) == names(3)
    assert on_disk(world) == names(0, 3)
    assert (await world.client.get(f"/team/dev/{WHEELS[0].path}")).body == WHEELS[0].content


@pytest.mark.parametrize(
    "wish",
    [{"projects": ["PKG0", "pkg1"]}, {"files": names(0, 1)}, {"files": [WHEELS[0].path, WHEELS[1].path]}],
    ids=["projects", "names", "paths"],
)
async def test_what_is_pinned_stays(world: World, wish: dict[str, Any]) -> None:
    await hold(world, *WHEELS)
    pinned = await pins(world, "PUT", {**wish, "reason": "release 7"})
    await configure(world, mirror_cache_max_age="1h")

    await world.app.keeper.minute()
    listed = await pins(world, "GET")

    assert (pinned.status, pinned.json["result"]) == (200, 2)
    assert held(world) == names(0, 1, 3)
    assert [(pin["path"], pin["reason"]) for pin in listed.json["result"]] == sorted(
        (wheel.path, "release 7") for wheel in WHEELS[:2]
    )


async def test_what_is_not_pinned_any_more_may_go(world: World) -> None:
    await hold(world, *WHEELS)
    await pins(world, "PUT", {"projects": ["*"]})
    await configure(world, mirror_cache_max_age="1h")

    assert (await pins(world, "DELETE", {"projects": ["pkg0"]})).json["result"] == 1
    await world.app.keeper.minute()
    assert held(world) == names(1, 2, 3)
    assert (await pins(world, "DELETE", {"projects": ["*"]})).json["result"] == 3
    await world.app.keeper.minute()
    assert held(world) == names(3)


async def test_a_file_may_be_pinned_before_it_is_held(world: World) -> None:
    await pins(world, "PUT", {"files": [WHEELS[0].path]})
    await hold(world, *WHEELS)
    await configure(world, mirror_cache_max_age="1h")

    await world.app.keeper.minute()

    assert held(world) == names(0, 3)


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({}, 400, "say which"),
        ({"projects": ["pkg0", "unknown"]}, 404, "holds nothing of unknown"),
        ({"files": ["unknown-1.0.tar.gz"]}, 404, "holds nothing of unknown-1.0.tar.gz"),
        ({"projects": "pkg0"}, 400, "Expected `array`"),
        ({"projects": ["-"]}, 404, "is not a project name"),
        ({"project": ["pkg0"]}, 400, "pins take"),
        ({"projects": ["pkg0"], "reason": "x" * 201}, 400, "at most 200"),
        ({"files": ["x"] * 10_001}, 400, "more than 10000"),
    ],
    ids=["nothing", "unknown project", "unknown file", "no list", "no name", "unknown key", "long reason", "many"],
)
async def test_a_wish_that_cannot_be_is_refused_and_nothing_is_pinned(
    world: World, wish: dict[str, Any], status: int, words: str
) -> None:
    await hold(world, WHEELS[0])
    before = world.everything()

    answer = await pins(world, "PUT", wish)

    assert answer.status == status
    assert words in answer.text
    assert world.everything() == before


async def test_only_files_of_mirrors_are_pinned(world: World) -> None:
    answer = await world.client.send("PUT", "/team/dev/+pins", {"projects": ["*"]}, user="team")

    assert answer.status == 400
    assert "is no mirror" in answer.text


async def test_the_pins_of_a_removed_mirror_are_gone(world: World) -> None:
    await world.client.send("PUT", "/root/other", {"type": "mirror", "mirror_url": world.upstream.url}, **root(world))
    await world.client.send("PUT", "/root/other/+pins", {"files": [WHEELS[0].path]}, **root(world))

    await world.client.send("DELETE", "/root/other", **root(world))

    assert world.everything()["pins"] == []


async def test_one_worker_keeps_house_for_all(world: World) -> None:
    await hold(world, *WHEELS)
    await world.app.keeper.minute()
    other = world.another_app()
    await other.open()
    await configure(world, mirror_cache_max_age="1h")

    await other.keeper.minute()
    not_the_keeper = held(world)
    await world.app.keeper.close()
    await other.keeper.minute()
    await other.close()

    assert not_the_keeper == names(0, 1, 2, 3)
    assert held(world) == names(3)


async def test_house_is_kept_again_after_it_broke_down(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await hold(world, *WHEELS)
    await configure(world, mirror_cache_max_age="1h")
    (world.path / "run").rename(world.path / "elsewhere")
    keeping = asyncio.ensure_future(world.app.keeper.run(0.001))
    while "Housekeeping broke down" not in caplog.text:
        await asyncio.sleep(0)

    (world.path / "elsewhere").rename(world.path / "run")
    while not (world.path / "run" / "last-sweep.json").exists():
        await asyncio.sleep(0.001)
    keeping.cancel()

    assert held(world) == names(3)


# -- low disk ------------------------------------------------------------------------------------


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[World]:
    """More is to stay free than there is."""
    async with a_world(tmp_path, min_free_disk="9999T") as made:
        await a_team(made.client)
        for n, wheel in enumerate(WHEELS):
            made.upstream.add(f"pkg{n}", wheel)
        yield made


async def test_below_the_watermark_files_are_passed_on_and_not_kept(full: World) -> None:
    for _ in range(2):
        answer = await full.client.get(f"/root/pypi/{WHEELS[0].path}")
        await settled(full)

        assert (answer.status, answer.body) == (200, WHEELS[0].content)
        assert answer.headers["content-length"] == str(SIZE)
    assert full.upstream.count(f"/files/{WHEELS[0].filename}") == 2
    assert held(full) == on_disk(full) == []
    assert full.everything()["incoming"] == []


async def test_below_the_watermark_ranges_and_heads_are_answered(full: World) -> None:
    url = f"/root/pypi/{WHEELS[0].path}"

    part = await full.client.get(url, range="bytes=10-")
    small = await full.client.get(url, range="bytes=-10")
    head = await full.client.head(url)

    assert (part.status, part.body) == (206, WHEELS[0].content[10:])
    assert (small.status, small.body) == (206, WHEELS[0].content[-10:])
    assert (head.status, head.headers["content-length"]) == (200, str(SIZE))


async def test_below_the_watermark_pages_metadata_and_uploads_work(full: World) -> None:
    page = await full.client.get("/root/pypi/+simple/pkg0/")
    metadata = await full.client.get(f"/root/pypi/{WHEELS[0].path}.metadata")
    published = await upload(full.client, "team/dev", a_wheel("ours"), "ours")

    assert (page.status, metadata.body, published.status) == (200, WHEELS[0].metadata, 200)
    assert (await full.client.get(f"/team/dev/{a_wheel('ours').path}")).status == 200


async def test_below_the_watermark_wrong_bytes_are_a_broken_transfer(full: World) -> None:
    full.upstream.add("pkg0", WHEELS[0], hashes={"sha256": "0" * 64})
    [path] = [f"+f/000/{'0' * 13}/{WHEELS[0].filename}"]

    answer = await full.client.get(f"/root/pypi/{path}")

    assert answer.broken
    assert len(answer.body) < SIZE


async def test_below_the_watermark_a_file_that_upstream_lost_is_404(full: World) -> None:
    full.upstream.faults[f"/files/{WHEELS[0].filename}"] = Status(404)

    assert (await full.client.get(f"/root/pypi/{WHEELS[0].path}")).status == 404


async def test_low_disk_is_told(full: World) -> None:
    health = await full.client.get("/+health")
    status = (await full.client.get("/+status")).json["result"]

    assert (health.status, health.json["disk"]) == (200, "low disk")
    assert any("Low disk" in warning for warning in status["warnings"])
    assert status["disk"]["low"] is True


async def test_a_large_file_is_kept_only_if_enough_stays_free(world: World) -> None:
    free = world.app.space.room().free
    await world.restart(min_free_disk=str(free - (64 << 20)))

    assert world.app.space.has_room(1 << 20)
    assert not world.app.space.has_room(1 << 30)
    assert not world.app.space.is_low


async def test_a_share_is_one_of_the_whole_disk(world: World) -> None:
    await world.restart(min_free_disk="99.999999%")

    status = (await world.client.get("/+status", accept="application/json")).json

    total = world.app.space.room().total
    assert status["result"]["disk"]["min_free"] == pytest.approx(total, rel=1e-6)
    assert world.app.space.min_free_bytes < total
    assert world.app.space.is_low


@contextlib.contextmanager
def a_small_disk(path: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of its own."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount anything")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


async def test_a_disk_that_fills_takes_uploads_when_it_takes_no_mirrored_files_any_more(tmp_path: Path) -> None:
    large = [a_wheel(f"large{n}", payload=bytes([n]) * (2 << 20)) for n in range(4)]
    with a_small_disk(tmp_path / "disk", 12 << 20) as disk:
        async with a_world(disk, min_free_disk="5M") as world:
            await a_team(world.client)
            for n, wheel in enumerate(large):
                world.upstream.add(f"large{n}", wheel)

            for wheel in large:
                answer = await world.client.get(f"/root/pypi/{wheel.path}")
                assert answer.body == wheel.content
                await settled(world)
            kept = [wheel for wheel in large if world.app._place.blobs.has(wheel.sha256)]
            published = await upload(world.client, "team/dev", large[3], "large3")

            assert 0 < len(kept) < len(large)
            assert world.app.space.room().free < 5 << 20
            assert published.status == 200
            assert (await world.client.get(f"/team/dev/{large[3].path}")).body == large[3].content


# -- the report ----------------------------------------------------------------------------------


async def test_the_status_tells_who_uses_how_much_and_what_would_go(world: World) -> None:
    await hold(world, *WHEELS)
    await upload(world.client, "team/dev", a_wheel("ours"), "ours")
    await configure(world, mirror_cache_max_age="1h")

    disk = (await world.client.get("/+status")).json["result"]["disk"]

    assert disk["indexes"] == {
        "root/pypi": {"files": 4, "bytes": SIZE * 4, "would_free": SIZE * 3},
        "team/dev": {"files": 1, "bytes": len(a_wheel("ours").content), "would_free": 0},
    }
    assert disk["would_free"] == SIZE * 3
    assert 0 < disk["free"] <= disk["total"]
    assert disk["low"] is False
    assert (disk["blobs"], disk["swept_at"]) == (None, None)


async def test_after_the_sweep_the_status_knows_the_blobs(world: World) -> None:
    await hold(world, WHEELS[0])
    waiting = world.app._place.blobs.put(b"young")
    world.clock.at = time.time()

    await world.app.keeper.hour()
    at = datetime.fromtimestamp(int(world.clock.at), UTC)
    world.clock.pass_s(60)
    disk = (await world.client.get("/+status")).json["result"]["disk"]

    assert world.app._place.blobs.has(waiting)
    assert disk["blobs"] == {"files": 3, "bytes": SIZE + len(WHEELS[0].metadata) + 5}
    assert datetime.fromisoformat(disk["swept_at"]) == at
    assert disk["unreferenced"] == {"files": 1, "bytes": 5}
    assert disk["would_free"] == 5


async def test_indexes_are_named_to_those_who_may_read_them(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel("ours"), "ours")
    await world.client.send("PATCH", "/team/dev", {"acl_pkg_read": "team"}, user="team")

    anybody = (await world.client.get("/+status")).json["result"]["disk"]
    team = (await world.client.send("GET", "/+status", user="team")).json["result"]["disk"]

    assert "team/dev" not in anybody["indexes"]
    assert "team/dev" in team["indexes"]


async def test_the_report_is_made_at_most_once_a_minute(world: World) -> None:
    first = (await world.client.get("/+status")).json["result"]["disk"]
    await hold(world, WHEELS[0])
    world.clock.at = START + 59
    second = (await world.client.get("/+status")).json["result"]["disk"]
    world.clock.at = START + 61
    third = (await world.client.get("/+status")).json["result"]["disk"]

    assert first["indexes"] == second["indexes"] == {}
    assert list(third["indexes"]) == ["root/pypi"]


async def test_usage_of_an_index_is_by_project_the_largest_first(world: World) -> None:
    await hold(world, WHEELS[1], WHEELS[0])
    await upload(world.client, "team/dev", a_wheel("small"), "small")
    await upload(world.client, "team/dev", a_wheel("large", payload=bytes(9999)), "large")

    mirror = (await world.client.get("/root/pypi?usage", accept="application/json")).json
    stage = (await world.client.get("/team/dev/?usage", accept="application/json")).json

    assert mirror == {
        "type": "indexusage",
        "result": {"pkg0": {"files": 1, "bytes": SIZE}, "pkg1": {"files": 1, "bytes": SIZE}},
    }
    assert list(stage["result"]) == ["large", "small"]
