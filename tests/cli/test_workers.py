"""Several worker processes on one folder behave as one server."""

import asyncio
import http.client
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import Dist, a_wheel
from tests.support.deadline import until
from tests.support.server import Server, a_server
from tests.support.upstream import Cut, Drip, FakeUpstream, Threaded
from tests.support.world import make_serverdir

JSON = "application/vnd.pypi.simple.v1+json"
CLIENTS = 20


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


class Kept:
    """A connection that stays open; `worker`: process id of the worker that answers on it."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self._connection.request("GET", "/+health/live")
        self._connection.getresponse().read()
        local: int = self._connection.sock.getsockname()[1]
        self.worker = _answering(server, local)

    def ask(self, method: str, path: str) -> http.client.HTTPResponse:
        self._connection.request(method, path, headers={"Accept": JSON})
        return self._connection.getresponse()

    def close(self) -> None:
        self._connection.close()


def _answering(server: Server, client_port: int) -> int:
    """Which worker has the other end of the connection from `client_port`."""
    wanted = (f":{server.port:04X}", f":{client_port:04X}")
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(wanted[0]) and fields[2].endswith(wanted[1]):
            link = f"socket:[{fields[9]}]"
            for pid in server.workers():
                if any(_target(entry) == link for entry in Path(f"/proc/{pid}/fd").iterdir()):
                    return pid
    raise AssertionError("no worker has this connection")


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except FileNotFoundError:
        return ""


def one_to_each(server: Server) -> tuple[Kept, Kept]:
    """A connection to either of two workers."""
    until(lambda: len(server.workers()) == 2, "two workers run")
    found: dict[int, Kept] = {}

    def both() -> bool:
        connection = Kept(server)
        if connection.worker in found:
            connection.close()
        else:
            found[connection.worker] = connection
        return len(found) == 2

    until(both, "both workers answer")
    first, second = found.values()
    return first, second


async def set_event(event: asyncio.Event) -> None:
    event.set()


def versions(connection: Kept) -> list[str]:
    found: list[str] = json.loads(connection.ask("GET", "/root/pypi/+simple/pkg/").read())["versions"]
    return found


def serial(connection: Kept) -> int:
    found: int = json.loads(connection.ask("GET", "/+health").read())["serial"]
    return found


def test_twenty_clients_at_once_cost_one_download(threaded: Threaded, upstream: FakeUpstream, serverdir: Path) -> None:
    wheel = a_wheel(payload=os.urandom(3 << 20))
    rest = asyncio.Event()
    upstream.add("pkg", wheel)
    upstream.faults[f"/files/{wheel.filename}"] = Drip(1 << 20, rest)
    bodies: list[bytes] = []
    began: list[int] = []

    with a_server(serverdir, "--workers", "2") as server:
        pair = one_to_each(server)
        versions(pair[0])

        def client(connection: Kept) -> None:
            response = connection.ask("GET", f"/root/pypi/{wheel.path}")
            head = response.read(1 << 19)
            began.append(connection.worker)
            bodies.append(head + response.read())
            connection.close()

        connections = [*pair, *(Kept(server) for _ in range(CLIENTS - 2))]
        threads = [threading.Thread(target=client, args=(connection,)) for connection in connections]
        for thread in threads:
            thread.start()
        until(lambda: len(began) == CLIENTS, "every client has its first bytes")
        threaded.call(set_event(rest))
        for thread in threads:
            thread.join(30)

    assert Counter(bodies) == {wheel.content: CLIENTS}
    assert len(set(began)) == 2
    assert upstream.count(f"/files/{wheel.filename}") == 1


def test_a_page_changed_through_one_worker_is_seen_through_the_other_at_once(
    upstream: FakeUpstream, serverdir: Path
) -> None:
    upstream.add("pkg", a_wheel("pkg", "1.0"))

    with a_server(serverdir, "--workers", "2") as server:
        one, other = one_to_each(server)
        before = versions(one), versions(other), versions(one), versions(other)
        seen = []
        for number in range(2, 12):
            upstream.add("pkg", a_wheel("pkg", f"{number}.0"))
            changing, looking = (one, other) if number % 2 else (other, one)
            response = changing.ask("POST", "/root/pypi/+simple/pkg/refresh")
            response.read()
            assert response.status == 302
            seen.append((number, len(versions(looking)), len(versions(changing))))
        one.close()
        other.close()

    assert before == (["1.0"],) * 4
    assert seen == [(number, number, number) for number in range(2, 12)]


def test_a_page_fetched_by_one_worker_is_not_fetched_by_the_other(upstream: FakeUpstream, serverdir: Path) -> None:
    upstream.add("pkg", a_wheel())

    with a_server(serverdir, "--workers", "2", "--no-read-ahead") as server:
        one, other = one_to_each(server)
        before = serial(one)
        versions(one)
        # It is answered before it is stored: the other worker may look from then on.
        until(lambda: serial(one) > before, "the page is stored")
        for connection in (other, one, other):
            versions(connection)
        one.close()
        other.close()

    assert upstream.count("/simple/pkg/") == 1


def test_a_killed_worker_is_replaced(upstream: FakeUpstream, serverdir: Path) -> None:
    upstream.add("pkg", a_wheel())

    with a_server(serverdir, "--workers", "2") as server:
        one, other = one_to_each(server)
        os.kill(one.worker, signal.SIGKILL)
        until(lambda: one.worker not in server.workers() and len(server.workers()) == 2, "there are two again")
        third, fourth = one_to_each(server)

        assert {third.worker, fourth.worker} - {one.worker, other.worker}
        for connection in (other, third, fourth):
            assert versions(connection) == ["1.0"]
        for connection in (one, other, third, fourth):
            connection.close()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0


def test_a_download_whose_worker_is_killed_is_finished_by_the_other(
    threaded: Threaded, upstream: FakeUpstream, serverdir: Path
) -> None:
    wheel = a_wheel(payload=os.urandom(3 << 20))
    never, rest = asyncio.Event(), asyncio.Event()
    upstream.add("pkg", wheel)
    upstream.faults[f"/files/{wheel.filename}"] = [Drip(1 << 20, never), Drip(2 << 20, rest)]

    with a_server(serverdir, "--workers", "2", "--no-read-ahead") as server:
        leader, follower = one_to_each(server)
        versions(leader)
        versions(follower)
        path = f"/root/pypi/{wheel.path}"
        lost = leader.ask("GET", path)
        lost.read(1 << 19)
        followed = follower.ask("GET", path)
        body = followed.read(1 << 19)
        os.kill(leader.worker, signal.SIGKILL)
        until(lambda: upstream.count(f"/files/{wheel.filename}") == 2, "the other worker took over")
        threaded.call(set_event(rest))
        body += followed.read()
        leader.close()
        follower.close()
        again = server.get(path)[2]
        threaded.call(set_event(never))

    assert body == wheel.content
    assert again == wheel.content
    assert upstream.count(f"/files/{wheel.filename}") == 2


def test_a_failed_download_fails_for_clients_of_both_workers_and_leaves_nothing(
    upstream: FakeUpstream, serverdir: Path
) -> None:
    wheel: Dist = a_wheel(payload=os.urandom(1 << 20))
    upstream.add("pkg", a_wheel())
    other_bytes = Dist(wheel.filename, wheel.content[::-1], wheel.metadata)
    # Listed with one hash, sent with other bytes.
    upstream.add("pkg", other_bytes, hashes={"sha256": wheel.sha256})
    outcomes: list[str] = []

    with a_server(serverdir, "--workers", "2", "--no-read-ahead") as server:
        pair = one_to_each(server)
        for connection in pair:
            versions(connection)

        def client(connection: Kept) -> None:
            try:
                response = connection.ask("GET", f"/root/pypi/{wheel.path}")
                response.read()
                outcomes.append(str(response.status))
            except (OSError, http.client.HTTPException):
                outcomes.append("broken")

        threads = [threading.Thread(target=client, args=(connection,)) for connection in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for connection in pair:
            connection.close()
        until(lambda: not list((serverdir / "incoming").iterdir()), "nothing is left of it")

    assert len(outcomes) == 2
    assert "200" not in outcomes
    assert not any(path.is_file() for path in (serverdir / "blobs").rglob("*"))


def test_a_cut_download_is_resumed_for_clients_of_both_workers(upstream: FakeUpstream, serverdir: Path) -> None:
    wheel = a_wheel(payload=os.urandom(3 << 20))
    upstream.add("pkg", wheel)
    upstream.faults[f"/files/{wheel.filename}"] = [Cut(1 << 20)]
    bodies: list[bytes] = []

    with a_server(serverdir, "--workers", "2", "--no-read-ahead") as server:
        pair = one_to_each(server)
        for connection in pair:
            versions(connection)
        threads = [
            threading.Thread(target=lambda c=connection: bodies.append(c.ask("GET", f"/root/pypi/{wheel.path}").read()))
            for connection in pair
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for connection in pair:
            connection.close()

    assert bodies == [wheel.content, wheel.content]
    ranges = [h.get("Range") for _, path, h in upstream.seen if path == f"/files/{wheel.filename}"]
    assert len(ranges) == 2
    assert ranges[0] is None
    assert ranges[1] is not None
