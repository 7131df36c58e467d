"""Garbage collection: what nothing refers to goes, and nothing else ever does."""

import asyncio
import contextlib
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from stilton.blobs import unused
from stilton.blobs.local import LocalBlobs
from stilton.db import consistency, stages
from stilton.db.database import connect, write_now
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.publishing import Kind, StageFile
from stilton.upkeep import fsck, sweep
from tests.http.test_uploads import an_attestation
from tests.support.builders import a_wheel
from tests.support.client import Answer
from tests.support.publish import a_team, upload
from tests.support.team import settled
from tests.support.world import World, a_world, make_serverdir

STAGE = IndexName("team/dev")
OLD = 7200.0
"""Seconds: older than what is spared."""
AHEAD = math.inf
"""To a clock that jumped ahead everything looks old."""


def age(blobs: list[Path]) -> None:
    """Nobody touched these for hours."""
    for blob in blobs:
        os.utime(blob, (time.time() - OLD,) * 2)


async def swept(world: World) -> sweep.Swept:
    return await sweep.sweep(world.app.db, world.app._place.blobs, time.time)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        await a_team(made.client)
        yield made


@pytest.fixture
def blobs(world: World) -> LocalBlobs:
    return world.app._place.blobs


async def test_everything_that_is_published_or_held_stays(world: World) -> None:
    ours, theirs = a_wheel("ours"), a_wheel("theirs")
    proof = json.dumps([an_attestation(ours.filename, ours.sha256)])
    assert (await upload(world.client, "team/dev", ours, "ours", attestations=proof)).status == 200
    world.upstream.add("theirs", theirs)
    await world.client.get(f"/root/pypi/{theirs.path}")
    await settled(world)
    age(world.blobs)
    before = world.everything()

    found = await swept(world)

    assert (found.removed, found.waiting) == (0, 0)
    assert found.blobs == len(world.blobs) == 5  # two wheels, two metadata files, a provenance
    assert world.everything() == before


async def test_what_was_removed_goes_with_its_metadata(world: World) -> None:
    first, second = a_wheel(version="1.0"), a_wheel(version="2.0")
    await upload(world.client, "team/dev", first, "pkg", "1.0")
    await upload(world.client, "team/dev", second, "pkg", "2.0")
    await world.client.send("DELETE", "/team/dev/pkg/1.0", user="team")
    age(world.blobs)

    found = await swept(world)

    assert (found.removed, found.blobs) == (2, 2)
    assert found.removed_bytes == len(first.content) + len(first.metadata)
    assert {blob.parent.name + blob.name for blob in world.blobs} == {second.sha256, second.metadata_sha256}
    assert (await world.client.get(f"/team/dev/{second.path}")).body == second.content
    assert (await world.client.get(f"/team/dev/{first.path}")).status == 410


async def test_bytes_that_another_index_has_too_stay(world: World) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)
    pushed = {"name": "pkg", "version": "1.0", "targetindex": "team/prod"}
    assert (await world.client.send("PUSH", "/team/dev", pushed, user="team")).status == 200
    await world.client.send("DELETE", "/team/dev/pkg", user="team")
    age(world.blobs)

    found = await swept(world)

    assert found.removed == 0
    assert (await world.client.get(f"/team/prod/{wheel.path}")).body == wheel.content


async def test_what_is_young_stays_for_whoever_is_going_to_refer_to_it(world: World, blobs: LocalBlobs) -> None:
    digest = blobs.put(b"an upload that is not in the database yet")

    found = await swept(world)

    assert (found.removed, found.waiting, found.waiting_bytes) == (0, 1, 41)
    assert blobs.has(digest)


async def test_a_push_of_what_the_sweep_took_first_is_refused_and_changes_nothing(
    world: World, blobs: LocalBlobs
) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)
    blobs.path(wheel.sha256).unlink()
    before = world.everything()

    pushed = {"name": "pkg", "version": "1.0", "targetindex": "team/prod"}
    answer = await world.client.send("PUSH", "/team/dev", pushed, user="team")

    assert answer.status == 404
    assert "bytes are lost" in answer.json["message"]
    assert world.everything() == before


async def test_a_push_makes_its_bytes_young(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    age(world.blobs)

    pushed = {"name": "pkg", "version": "1.0", "targetindex": "team/prod"}
    await world.client.send("PUSH", "/team/dev", pushed, user="team")

    assert all(time.time() - blob.stat().st_mtime < OLD / 2 for blob in world.blobs)


def serial(world: World) -> int:
    return world.app.db.glance(consistency.serial)


@contextlib.asynccontextmanager
async def waiting_writer(world: World) -> AsyncIterator[None]:
    """Nothing is committed inside; what queues up becomes one transaction, in the order in which it came."""
    go = threading.Event()
    held_up = asyncio.ensure_future(world.app.db.write(lambda _tx: go.wait(20)))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        go.set()
        await held_up


async def test_what_became_files_between_the_look_and_the_removal_stays(world: World, blobs: LocalBlobs) -> None:
    wheel, before = a_wheel(), serial(world)
    proof = json.dumps([an_attestation(wheel.filename, wheel.sha256)])
    await upload(world.client, "team/dev", wheel, attestations=proof)
    digests = [blob.parent.name + blob.name for blob in world.blobs]

    await world.app.db.write(sweep.take, blobs, digests, AHEAD, before)

    assert len(digests) == 3  # the wheel, its metadata, its provenance
    assert all(map(blobs.has, digests))
    assert unused.unlink_aside(blobs, digests) == (0, 0)


async def test_what_becomes_a_file_in_the_transaction_of_the_removal_stays(world: World, blobs: LocalBlobs) -> None:
    file = a_file(b"content")
    blobs.put(b"content")

    async with waiting_writer(world):
        put = asyncio.ensure_future(world.app.db.write(stages.put_file, STAGE, file))
        take = asyncio.ensure_future(world.app.db.write(sweep.take, blobs, [file.digest], AHEAD, serial(world)))
        await asyncio.sleep(0)
    await asyncio.gather(put, take)

    assert blobs.has(file.digest)


@pytest.mark.parametrize("what", ["distribution", "metadata", "result"])
async def test_what_is_taken_since_the_clock_jumped_is_not_published_without_its_bytes(
    world: World, blobs: LocalBlobs, what: str
) -> None:
    """The clock jumps an hour ahead while an upload waits for its commit: its bytes look old to the sweep."""
    wheel, result = a_wheel(version="2.0"), b"{}"
    await upload(world.client, "team/dev", a_wheel())
    digest = {
        "distribution": wheel.sha256,
        "metadata": wheel.metadata_sha256,
        "result": hashlib.sha256(result).hexdigest(),
    }[what]

    def send() -> Coroutine[Any, Any, Answer]:
        if what == "result":
            return world.client.send("POST", f"/team/dev/{a_wheel().path}", {}, user="team")
        return upload(world.client, "team/dev", wheel, version="2.0")

    before = world.everything()
    async with waiting_writer(world):
        take = asyncio.ensure_future(world.app.db.write(sweep.take, blobs, [digest], AHEAD, serial(world)))
        sent = asyncio.ensure_future(send())
        while not blobs.has(digest):
            await asyncio.sleep(0.01)
    answer, _ = await asyncio.gather(sent, take)
    unused.unlink_aside(blobs, [digest])

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "try again in a moment" in answer.text
    left = {name: rows for name, rows in world.everything().items() if name != "blobs"}
    assert left == {name: rows for name, rows in before.items() if name != "blobs"}
    assert (await send()).status == 200
    assert blobs.has(digest)


async def test_folders_with_strange_files_are_looked_at_without_touching_those(world: World, blobs: LocalBlobs) -> None:
    strange = blobs.place("ab" * 32).parent / "notes.txt"
    strange.write_text("of an operator")
    age([strange])

    found = await swept(world)

    assert found == sweep.Swept()
    assert strange.exists()


async def test_a_sweep_beside_requests_ends_and_reports(world: World, blobs: LocalBlobs) -> None:
    digests = [blobs.put(bytes([n])) for n in range(250)]
    age(world.blobs)

    found, answers = await asyncio.gather(
        swept(world), asyncio.gather(*(upload(world.client, "team/dev", a_wheel(version=f"{n}.0"), "pkg", f"{n}.0") for n in range(5)))
    )  # fmt: skip

    assert {answer.status for answer in answers} == {200}
    assert found.removed == 250
    assert not any(map(blobs.has, digests))
    for n in range(5):
        assert (await world.client.get(f"/team/dev/{a_wheel(version=f'{n}.0').path}")).status == 200


class Publisher(threading.Thread):
    """Brings the same few contents again and again, notes each, looks whether it is there, and forgets it to grow old."""

    ROUNDS = 80

    def __init__(self, serverdir: Path) -> None:
        super().__init__()
        self.blobs = LocalBlobs(serverdir)
        self.engine = connect(serverdir / "stilton.sqlite")
        self.lost: list[int] = []
        self.finished = threading.Event()

    def run(self) -> None:
        try:
            for number in range(self.ROUNDS):
                self.publish(number)
        finally:
            self.engine.dispose()
            self.finished.set()

    def publish(self, number: int) -> None:
        content = f"content {number % 3}".encode()
        file = a_file(content)
        # Every other time the bytes are there already, as for a push.
        if number % 2 == 0 or not self.blobs.touch(file.digest):
            self.bring(content, file.digest)
        write_now(self.engine, time.time, stages.put_file, STAGE, file)
        if self.blobs.has(file.digest):
            # Old before it is forgotten: from then on the sweep may have it, while the next one brings it.
            age([self.blobs.path(file.digest)])
        else:
            self.lost.append(number)
        write_now(self.engine, time.time, stages.drop_index, STAGE)

    def bring(self, content: bytes, digest: str) -> None:
        source = self.blobs.incoming / "one.upload"
        source.write_bytes(content)
        age([source])
        self.blobs.adopt(source, digest, lasting=False)


def a_file(content: bytes) -> StageFile:
    digest = hashlib.sha256(content).hexdigest()
    return StageFile(
        path=f"+f/{digest[:3]}/x", project=ProjectName("pkg"), version="1.0", kind=Kind.RELEASE,
        filename="x", digest=digest, size=len(content), uploaded_at=0.0, log=[],
    )  # fmt: skip


@pytest.mark.parametrize("bring", ["adopt", "put", "touch"])
async def test_bytes_are_not_brought_while_some_are_taken(blobs: LocalBlobs, bring: str) -> None:
    """Else the sweep would look at old bytes and take those that just came in their place."""
    digest = blobs.put(b"content")
    source = blobs.incoming / "one.upload"
    source.write_bytes(b"content")
    age([blobs.path(digest), source])
    work = {
        "adopt": lambda: blobs.adopt(source, digest, lasting=False),
        "put": lambda: blobs.put(b"content"),
        "touch": lambda: blobs.touch(digest),
    }[bring]

    with blobs.unswept(alone=True):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(0.1)
        waits = thread.is_alive()
        still_old = time.time() - blobs.path(digest).stat().st_mtime > OLD / 2
    thread.join()

    assert waits
    assert still_old
    assert time.time() - blobs.path(digest).stat().st_mtime < OLD / 2


async def test_nothing_is_taken_while_somebody_brings_bytes(blobs: LocalBlobs) -> None:
    digest = blobs.put(b"content")
    age([blobs.path(digest)])

    with blobs.unswept(), blobs.unswept():  # several at once
        take = threading.Thread(target=unused.set_aside, args=(blobs, [digest]), kwargs={"older_than": time.time()})
        take.start()
        take.join(0.1)
        waits = take.is_alive()
        blobs.path(digest).write_bytes(b"content")
        os.utime(blobs.path(digest), (time.time() + 10,) * 2)
    take.join()

    assert waits
    assert blobs.has(digest)


def test_nothing_that_is_referred_to_is_lost_while_uploads_and_sweeps_race(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    make_serverdir(serverdir, "http://127.0.0.1:9/simple/")
    publisher = Publisher(serverdir)
    engine = connect(serverdir / "stilton.sqlite")
    parts = {a_file(f"content {n}".encode()).digest[0] for n in range(3)}
    removed = 0

    publisher.start()
    while not publisher.finished.is_set():
        older_than = time.time() - sweep.GRACE_S
        for part in parts:
            with engine.connect() as connection:
                looked = sweep.look(connection, publisher.blobs, part, older_than=older_than)
            removed += fsck.removed(engine, publisher.blobs, looked, older_than).removed
    publisher.join()
    engine.dispose()

    assert publisher.lost == []
    assert removed > 0
