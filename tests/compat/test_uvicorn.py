"""The same app under another ASGI server: nothing hangs on granian."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from bench.ports import free_port
from stilton import config
from stilton.app import App
from tests.support.builders import a_wheel
from tests.support.deadline import until
from tests.support.upstream import Threaded
from tests.support.world import make_serverdir

WHEEL = a_wheel(payload=bytes(range(256)) * 1000)


@contextlib.contextmanager
def under_uvicorn(serverdir: Path) -> Iterator[int]:
    """Serve `serverdir`; gives the port."""
    port = free_port()
    app = App(config.load({"serverdir": str(serverdir), "access-log": "no"}, {}))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "uvicorn serves")
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(20)


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_pages_files_ranges_and_heads_are_the_same_under_uvicorn(tmp_path: Path) -> None:
    with Threaded() as upstream:
        upstream.add("pkg", WHEEL)
        folder = tmp_path / "server"
        make_serverdir(folder, upstream.url)
        url = f"/root/pypi/{WHEEL.path}"
        with under_uvicorn(folder) as port:
            page = ask(port, "GET", "/root/pypi/+simple/pkg/")
            cold = ask(port, "GET", url)
            warm = ask(port, "GET", url)
            part = ask(port, "GET", url, Range="bytes=100-199")
            head = ask(port, "HEAD", url)

    assert page[0] == 200
    assert WHEEL.sha256.encode() in page[2]
    assert cold[2] == warm[2] == WHEEL.content
    assert (part[0], part[2]) == (206, WHEEL.content[100:200])
    assert (head[1]["content-length"], head[2]) == (str(len(WHEEL.content)), b"")
