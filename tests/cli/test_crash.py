"""kill -9 at bad moments; the next start finds everything that was committed, and nothing half."""

import asyncio
import contextlib
import functools
import hashlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from tests.support.builders import Dist, a_wheel
from tests.support.deadline import until
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.support.upstream import Drip, FakeUpstream, Threaded
from tests.support.world import make_serverdir

JSON = "application/vnd.pypi.simple.v1+json"
CLIENTS = 8


@pytest.fixture
def threaded() -> Iterator[Threaded]:
    made = Threaded()
    with made:
        yield made


@pytest.fixture
def upstream(threaded: Threaded) -> FakeUpstream:
    return threaded.upstream


@pytest.fixture
def serverdir(tmp_path: Path, upstream: FakeUpstream) -> Path:
    make_serverdir(tmp_path / "server", upstream.url)
    return tmp_path / "server"


def rows(serverdir: Path, sql: str) -> list[Any]:
    database = sqlite3.connect(serverdir / "stilton.sqlite", timeout=10)
    try:
        return database.execute(sql).fetchall()
    finally:
        database.close()


def held(serverdir: Path) -> dict[str, tuple[str, int]]:
    """Files that are committed: path below the index → (sha256, size)."""
    found = rows(serverdir, "SELECT path, digest, size FROM held WHERE digest IS NOT NULL")
    return {path: (digest, size) for path, digest, size in found}


def kill(server: Server) -> None:
    """kill -9 of all its processes; wait until they are gone."""
    pids = [server.process.pid, *server.workers()]
    server.kill()
    until(lambda: not any(runs(pid) for pid in pids), "all processes are gone")


def runs(pid: int) -> bool:
    """Whether the process lives; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def has_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(entry.readlink() == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def assert_sound(serverdir: Path) -> None:
    """What must be so after any crash and a start."""
    assert list((serverdir / "incoming").iterdir()) == []
    assert rows(serverdir, "PRAGMA integrity_check") == [("ok",)]
    blobs = {
        path.parent.name + path.name: path for path in (serverdir / "blobs" / "sha256").rglob("*") if path.is_file()
    }
    for digest, path in blobs.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    for path_held, (digest, size) in held(serverdir).items():
        assert digest in blobs, path_held
        assert blobs[digest].stat().st_size == size
    for (digest,) in rows(serverdir, "SELECT metadata_digest FROM held WHERE metadata_digest != ''"):
        assert digest in blobs


def assert_served_offline(serverdir: Path, wheels: dict[str, Dist]) -> None:
    """Exactly what is committed is listed and served, byte for byte. `wheels`: by project."""
    with a_server(serverdir, "--offline-mode") as server:
        committed = held(serverdir)
        assert_sound(serverdir)
        for project, wheel in wheels.items():
            page = server.get(f"/root/pypi/+simple/{project}/", Accept=JSON)
            file = server.get(f"/root/pypi/{wheel.path}")
            if wheel.path in committed:
                assert [entry["filename"] for entry in json.loads(page[2])["files"]] == [wheel.filename]
                assert (file[0], file[2]) == (200, wheel.content)
            else:
                assert page[0] == 404
                assert file[0] in (404, 503)


def fetch_all(server: Server, paths: list[str], done: list[str]) -> list[threading.Thread]:
    """Start clients that ask for all paths, until the server is gone; `done` grows by what was answered."""
    queue = list(reversed(paths))

    def client() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                try:
                    path = queue.pop()
                except IndexError:
                    return
                if server.get(path, Accept=JSON)[0] == 200:
                    done.append(path)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_download_that_was_killed_leaves_nothing_and_can_be_had_again(
    upstream: FakeUpstream, serverdir: Path, workers: str
) -> None:
    whole, cut = a_wheel("whole"), a_wheel("cut", payload=os.urandom(2 << 20))
    upstream.add("whole", whole)
    upstream.add("cut", cut)
    upstream.faults[f"/files/{cut.filename}"] = Drip(1 << 20, asyncio.Event())
    wheels = {"whole": whole, "cut": cut}

    with a_server(serverdir, "--workers", workers) as server:
        for project in wheels:
            server.get(f"/root/pypi/+simple/{project}/")
        assert server.get(f"/root/pypi/{whole.path}")[2] == whole.content
        until(lambda: whole.path in held(serverdir), "the first wheel is committed")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", f"/root/pypi/{cut.path}")
        response = connection.getresponse()
        assert response.read(1 << 19) == cut.content[: 1 << 19]
        until(lambda: any(p.stat().st_size for p in (serverdir / "incoming").glob("*.part")), "bytes are on the disk")
        kill(server)
        # A transfer that was cut must look cut.
        with pytest.raises((OSError, http.client.IncompleteRead)):
            response.read()
        connection.close()
    upstream.faults.clear()

    assert list(held(serverdir)) == [whole.path]
    assert_served_offline(serverdir, wheels)
    with a_server(serverdir) as server:
        assert server.get(f"/root/pypi/{cut.path}")[2] == cut.content
        until(lambda: cut.path in held(serverdir), "the second wheel is committed")
    assert_served_offline(serverdir, wheels)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_was_committed_outlives_kills_amid_many_fetches(
    upstream: FakeUpstream, serverdir: Path, workers: str
) -> None:
    wheels = {f"p{n}": a_wheel(f"p{n}", payload=os.urandom(60_000)) for n in range(90)}
    for project, wheel in wheels.items():
        upstream.add(project, wheel)
    committed: set[str] = set()

    for enough in (7, 25, 50):
        with a_server(serverdir, "--workers", workers) as server:
            assert_sound_but_for_readers(serverdir, committed)
            todo = [wheel for wheel in wheels.values() if wheel.path not in committed]
            done: list[str] = []
            pages = [f"/root/pypi/+simple/{wheel.filename.split('-')[0]}/" for wheel in todo]
            threads = fetch_all(server, [x for pair in zip(pages, files_of(todo), strict=True) for x in pair], done)
            until(functools.partial(are_held, serverdir, enough), f"{enough} files are committed")
            kill(server)
            join(threads)
        assert committed <= set(held(serverdir))
        committed = set(held(serverdir))

    assert len(committed) >= 50
    assert_served_offline(serverdir, wheels)


def files_of(wheels: list[Dist]) -> list[str]:
    return [f"/root/pypi/{wheel.path}" for wheel in wheels]


def assert_sound_but_for_readers(serverdir: Path, committed: set[str]) -> None:
    """Like `assert_sound`, of a server that just started; nothing that was committed is missing."""
    assert_sound(serverdir)
    assert committed <= set(held(serverdir))


def test_pages_that_were_committed_outlive_kills_while_pages_are_written(
    threaded: Threaded, upstream: FakeUpstream, serverdir: Path
) -> None:
    projects = {f"p{n}": [a_wheel(f"p{n}", f"1.{minor}") for minor in range(12)] for n in range(150)}
    for project, wheels in projects.items():
        upstream.add(project, *wheels)
    pages = [f"/root/pypi/+simple/{project}/" for project in projects]
    kept: set[str] = set()

    for enough in (10, 80):
        with a_server(serverdir) as server:
            threads = fetch_all(server, [page for page in pages if page not in kept], [])
            until(functools.partial(are_kept, serverdir, enough), f"{enough} pages are committed")
            kill(server)
            join(threads)
        assert kept <= kept_pages(serverdir)
        kept = kept_pages(serverdir)
    threaded.call(upstream.stop())

    with a_server(serverdir, "--no-offline-fallback", "--request-timeout", "1") as server:
        assert_sound(serverdir)
        for project, wheels in projects.items():
            path = f"/root/pypi/+simple/{project}/"
            if path in kept:
                page = json.loads(server.get(path, Accept=JSON)[2])
                assert sorted(f["filename"] for f in page["files"]) == sorted(w.filename for w in wheels)
                assert {f["hashes"]["sha256"] for f in page["files"]} == {w.sha256 for w in wheels}


def are_held(serverdir: Path, least: int) -> bool:
    return len(held(serverdir)) >= least


def are_kept(serverdir: Path, least: int) -> bool:
    return len(kept_pages(serverdir)) >= least


def kept_pages(serverdir: Path) -> set[str]:
    return {f"/root/pypi/+simple/{project}/" for (project,) in rows(serverdir, "SELECT project FROM mirrored")}


def test_serials_go_on_rising_after_a_kill(upstream: FakeUpstream, serverdir: Path) -> None:
    wheel = a_wheel()
    upstream.add("pkg", wheel)
    with a_server(serverdir) as server:
        server.get("/root/pypi/+simple/pkg/")
        server.get(f"/root/pypi/{wheel.path}")
        until(lambda: wheel.path in held(serverdir), "the wheel is committed")
        kill(server)
    with a_server(serverdir) as server:
        before = json.loads(server.get("/+status", Accept="application/json")[2])["result"]["serial"]
        upstream.add("new", a_wheel("new"))
        server.get("/root/pypi/+simple/new/")

        def serial() -> int:
            found: int = json.loads(server.get("/+status", Accept="application/json")[2])["result"]["serial"]
            return found

        until(lambda: serial() > before, "the new page is a later commit")

    serials = [serial for (serial,) in rows(serverdir, "SELECT serial FROM changes")]
    assert len(serials) == len(set(serials))


@pytest.mark.parametrize("moment", ["at the start", "when all serve"])
def test_workers_of_a_killed_server_end_and_free_the_folder(
    upstream: FakeUpstream, serverdir: Path, moment: str
) -> None:
    upstream.add("pkg", a_wheel())
    process = subprocess.Popen(
        [BIN / "devpi-server", "--serverdir", serverdir, "--host", "127.0.0.1", "--port", str(free_port()),
         "--workers", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(),
    )  # fmt: skip
    server = Server("", 0, process, serverdir / "no log")
    try:
        until(lambda: len(server.workers()) == 2, "two workers run")
        workers = server.workers()
        if moment == "when all serve":
            until(lambda: all(has_open(pid, serverdir / "stilton.sqlite") for pid in workers), "both opened the data")
    finally:
        process.kill()
        process.wait(20)

    try:
        until(lambda: not any(runs(pid) for pid in workers), "the workers ended")
    finally:
        for pid in filter(runs, workers):
            os.kill(pid, signal.SIGKILL)
    with a_server(serverdir) as again:
        assert again.get("/root/pypi/+simple/pkg/")[0] == 200
        assert_sound(serverdir)


@pytest.mark.parametrize("moment", ["", "incoming", "stilton.sqlite", ".nodeinfo"])
def test_an_init_that_was_killed_is_made_anew_by_the_next_start(
    upstream: FakeUpstream, tmp_path: Path, moment: str
) -> None:
    serverdir = tmp_path / "fresh"
    process = subprocess.Popen(
        [BIN / "devpi-init", "--serverdir", serverdir, "--mirror-url", upstream.url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env(),
    )  # fmt: skip
    while process.poll() is None and not (serverdir / moment).exists():
        pass  # the moments are short
    process.kill()
    process.wait(10)
    upstream.add("pkg", a_wheel())

    with a_server(serverdir, "--init", "--mirror-url", upstream.url) as server:
        assert server.get("/root/pypi/+simple/pkg/")[0] == 200
        assert_sound(serverdir)
    assert run("devpi-init", "--serverdir", str(serverdir)).returncode == 1
