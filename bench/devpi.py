"""For comparison: devpi-server 6 from the package index, in an environment of its own, on warm cases.

It has no option for the mirror's URL, so its index is made through its JSON API.
"""

import base64
import http.client
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import load, upstream, warm
from bench.lab import Lab
from bench.processes import BenchError, run, wait_until
from bench.report import Row
from bench.server import HTML, Build, Server

INSTALL_WITHIN_S = 90.0
LISTED_WITHIN_S = 30.0


def compare(lab: Lab, work: Path) -> Iterator[Row]:
    """The warm small page and the warm small wheel."""
    build = _installed(work / "devpi")
    serverdir = lab.place / "devpi"
    initialise: list[str | Path] = [build.folder / "devpi-init", "--serverdir", serverdir, "--no-root-pypi"]
    run(initialise, within_s=60)
    server = build.start(lab.own, serverdir, first="/+api")
    _make_index(server, f"{lab.upstream.url}/simple/")
    # Until it has read the list of projects, devpi knows none of them.
    page = server.page_url(upstream.SMALL)
    wait_until(lambda: load.answers(page), within_s=LISTED_WITHIN_S, every_s=0.1, what="devpi's first page")
    title = f"devpi-server {build.version()} in stilton's place: "
    for row in _rows(lab, server):
        yield replace(row, case=title + row.case)
    lab.own.end(server.process)


def _rows(lab: Lab, server: Server) -> Iterator[Row]:
    for form in ("JSON", "HTML"):
        yield warm.small_page(lab, server, form, warm.IDENTITY, None)
    yield warm.small_wheel(lab, server, None)


def _installed(environment: Path) -> Build:
    """Its environment, made on first use with the index that pip is set up for."""
    build = Build(environment / "bin")
    if not (build.folder / "devpi-server").is_file():
        run([sys.executable, "-m", "venv", environment], within_s=60)
        pip: list[str | Path] = [build.folder / "python", "-m", "pip", "--quiet", "install", "devpi-server"]
        run(pip, within_s=INSTALL_WITHIN_S, env=dict(os.environ))
    return build


def _make_index(server: Server, mirror_url: str) -> None:
    """root/pypi as a mirror of the benchmark's upstream."""
    login = _send(server, "POST", "/+login", {"user": "root", "password": ""}, {})
    token = base64.b64encode(f"root:{login['result']['password']}".encode()).decode()
    index = {"type": "mirror", "volatile": False, "mirror_url": mirror_url}
    _send(server, "PUT", "/root/pypi", index, {"X-Devpi-Auth": token})
    # The first request starts what it reads of upstream.
    load.get(server.page_url(upstream.SMALL), {"Accept": HTML})


def _send(server: Server, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
    """A request of its JSON API. Raises BenchError when it is refused."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status not in (200, 201):
        raise BenchError(f"devpi-server answered {response.status} to {method} {path}: {text[:200]!r}")
    return json.loads(text)
