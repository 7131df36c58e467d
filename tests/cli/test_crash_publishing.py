"""kill -9 during uploads and pushes: what was acknowledged is there, and nothing is there half."""

import contextlib
import http.client
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import Dist, a_wheel
from tests.support.deadline import until
from tests.support.publish import BOUNDARY, PASSWORD, a_form, basic, fields_of
from tests.support.server import Server, a_server
from tests.support.world import make_serverdir

JSON = "application/vnd.pypi.simple.v1+json"
CLIENTS = 6
ACKNOWLEDGED = 25
TEAM = {"authorization": basic("team")}


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    return tmp_path / "server"


def a_team(server: Server) -> None:
    assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
    for index in ("dev", "prod"):
        assert server.send_json("PUT", f"/team/{index}", {"volatile": index == "dev"}, **TEAM)[0] == 200


def upload(server: Server, wheel: Dist, version: str) -> int:
    body = a_form(fields_of(wheel, "pkg", version), wheel.filename, wheel.content)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return server.send("POST", "/team/dev/", body, content_type=kind, **TEAM)[0]


@contextlib.contextmanager
def clients(work: Callable[[int], None]) -> Iterator[None]:
    """Several threads that work on numbers until the server dies."""
    numbers = iter(range(10_000))
    lock = threading.Lock()

    def run() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                with lock:
                    number = next(numbers)
                work(number)

    threads = [threading.Thread(target=run) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(30)


def shown(server: Server, index: str) -> dict[str, Any]:
    status, _, body = server.get(f"/team/{index}/+simple/pkg/", accept=JSON)
    assert status == 200
    return {file["filename"]: file for file in json.loads(body)["files"]}


def test_every_acknowledged_upload_survives(serverdir: Path) -> None:
    acknowledged: dict[str, Dist] = {}

    with a_server(serverdir, "--workers", "2", "--no-access-log") as server:
        a_team(server)

        def work(number: int) -> None:
            wheel = a_wheel("pkg", f"1.{number}", payload=bytes([number % 256]) * 50_000)
            if upload(server, wheel, f"1.{number}") == 200:
                acknowledged[wheel.filename] = wheel

        with clients(work):
            until(lambda: len(acknowledged) >= ACKNOWLEDGED, "uploads")
            server.kill()

    with a_server(serverdir, "--no-access-log") as server:
        page = shown(server, "dev")
        assert set(acknowledged) <= set(page)
        for filename, file in page.items():
            path = "/team/dev/" + file["url"].removeprefix("../../")
            status, _, content = server.get(path)
            assert status == 200
            if filename in acknowledged:
                assert content == acknowledged[filename].content
            status, _, metadata = server.get(path + ".metadata")
            assert status == 200
            assert metadata.startswith(b"Metadata-Version")
        assert list((serverdir / "incoming").iterdir()) == []
        # It goes on as if nothing had been.
        assert upload(server, a_wheel("pkg", "9.9"), "9.9") == 200


def test_a_push_is_there_in_whole_or_not_at_all(serverdir: Path) -> None:
    pushed: set[str] = set()

    with a_server(serverdir, "--no-access-log") as server:
        a_team(server)
        for number in range(40):
            for dist in (a_wheel("pkg", f"1.{number}"), a_wheel("pkg", f"1.{number}", payload=b"x")):
                # Two files a release: of one name for two Pythons.
                name = dist.filename if b"payload" not in dist.content else dist.filename.replace("py3", "py2.py3")
                renamed = Dist(name, dist.content, dist.metadata)
                assert upload(server, renamed, f"1.{number}") == 200

        def work(number: int) -> None:
            wish = {"name": "pkg", "version": f"1.{number % 40}", "targetindex": "team/prod"}
            if server.send_json("PUSH", "/team/dev", wish, **TEAM)[0] == 200:
                pushed.add(f"1.{number % 40}")

        with clients(work):
            until(lambda: len(pushed) >= 10, "pushes")
            server.kill()

    with a_server(serverdir, "--no-access-log") as server:
        versions = [filename.split("-")[1] for filename in shown(server, "prod")]
        assert pushed <= set(versions)
        assert {versions.count(version) for version in set(versions)} == {2}


def test_a_cut_upload_leaves_nothing(serverdir: Path) -> None:
    with a_server(serverdir, "--no-access-log") as server:
        a_team(server)
        wheel = a_wheel("pkg", "1.0", payload=bytes(3 << 20))
        body = a_form(fields_of(wheel, "pkg", "1.0"), wheel.filename, wheel.content)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.putrequest("POST", "/team/dev/")
        connection.putheader("content-type", f"multipart/form-data; boundary={BOUNDARY}")
        connection.putheader("content-length", str(len(body)))
        connection.putheader("authorization", basic("team"))
        connection.endheaders()
        connection.send(body[: len(body) // 2])
        until(lambda: list((serverdir / "incoming").glob("*.upload")), "the upload begins")

        connection.close()

        until(lambda: not list((serverdir / "incoming").glob("*.upload")), "what came of it is dropped")
        assert server.get("/team/dev/+simple/pkg/")[0] == 404
        with contextlib.closing(sqlite3.connect(serverdir / "stilton.sqlite")) as database:
            assert database.execute("SELECT count(*) FROM files").fetchone() == (0,)
