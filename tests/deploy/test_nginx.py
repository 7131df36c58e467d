"""A real nginx with the files as `devpi-gen-config` writes them, in front of a real server."""

import contextlib
import http.client
import json
import os
import selectors
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench import programs
from bench.ports import free_port
from bench.processes import BenchError
from tests.compat.conftest import installed
from tests.support.builders import Dist, a_wheel
from tests.support.client import Client
from tests.support.deadline import until
from tests.support.publish import BOUNDARY, PASSWORD, a_form, a_team, basic, fields_of, upload
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.support.upstream import FakeUpstream, Threaded
from tests.support.world import a_world, make_serverdir

JSON = "application/vnd.pypi.simple.v1+json"
OFFER = "X-Accel-Redirect"
WHEEL = a_wheel(payload=os.urandom(300_000))
SIZE = len(WHEEL.content)
PRIVATE = a_wheel("secret", payload=b"s" * 5000)
LIMIT_BYTES = 2 << 20
# Written by devpi-server and sent on by nginx, or written by nginx from what the file says.
SAME = ["content-type", "content-length", "etag", "last-modified", "cache-control", "content-disposition",
        "x-content-type-options", "access-control-allow-origin", "vary", "accept-ranges"]  # fmt: skip

AROUND = """
worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log warn;
{user}
events {{ worker_connections 256; }}
http {{
  log_format handed '$request_method $request_uri $status handed=$sent_http_x_cache_status,$upstream_http_x_accel_redirect';
  access_log access.log handed;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  include gen-config/{name};
}}
"""

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Nginx:
    """A running nginx; `get` and `send` go through it."""

    port: int
    place: Path

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body or None, {k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            names = [name.lower() for name, _ in response.getheaders()]
            assert len(set(names)) == len(names), names
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, b"", **headers)

    def handed(self, path: str) -> list[str]:
        """The blobs that nginx sent for this path, `-` where it sent what the server did. It logs after sending."""

        def rows() -> list[str]:
            lines = (self.place / "access.log").read_text().splitlines()
            return [line.rpartition(",")[2] for line in lines if line.split()[1] == path]

        return until(rows, "nginx's line about the request")


@dataclass
class Site:
    """nginx, the server behind it and its upstream."""

    nginx: Nginx
    server: Server
    upstream: FakeUpstream
    serverdir: Path

    def blob(self, dist: Dist) -> Path:
        return self.serverdir / "blobs" / "sha256" / dist.sha256[:2] / dist.sha256[2:]

    def files(self) -> list[str]:
        """What is on the disk of bytes."""
        folders = (self.serverdir / "blobs", self.serverdir / "incoming")
        return sorted(path.name for folder in folders for path in folder.rglob("*"))

    def make(self, path: str, document: Any, user: str | None = None) -> None:
        headers = {"authorization": basic(user)} if user else {}
        status, answer = self.server.send_json("PUT", path, document, **headers)
        assert status in (200, 201), answer

    def upload(self, index: str, dist: Dist, project: str, version: str = "1.0") -> tuple[int, bytes]:
        """Through nginx, as user team."""
        body = a_form(fields_of(dist, project, version), dist.filename, dist.content)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        status, _, said = self.nginx.send(
            "POST", f"/{index}/", body, content_type=kind, authorization=basic("team"), user_agent="twine/6.0"
        )
        return status, said


@pytest.fixture(scope="module")
def program() -> Path:
    """nginx, fetched from Debian's packages where that is possible."""
    try:
        return programs.find("nginx", "nginx-light")
    except BenchError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def an_nginx(program: Path, place: Path, name: str, mount: str, *arguments: str) -> Iterator[Nginx]:
    """nginx with one of the generated files; the others' folder is `place`."""
    port = free_port()
    place.mkdir()
    written = subprocess.run(
        [BIN / "devpi-gen-config", "--outside-url", f"http://127.0.0.1:{port}{mount}", "--nginx-cache", "cache", *arguments],
        cwd=place, capture_output=True, text=True, timeout=60, check=False, env=clean_env(HOME=str(place)),
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    user = "user root;" if os.geteuid() == 0 else ""
    (place / "nginx.conf").write_text(AROUND.format(user=user, name=name))
    command: list[str | Path] = [program, "-p", place, "-c", place / "nginx.conf", "-e", place / "error.log"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    nginx = Nginx(port, place)

    def ready() -> bool:
        assert process.poll() is None, (place / "error.log").read_text()
        with contextlib.suppress(OSError):
            return nginx.get(f"{mount}/+health")[0] == 200
        return False

    try:
        until(ready, "nginx's first answer")
        yield nginx
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def a_site(program: Path, folder: Path, name: str, *arguments: str) -> Iterator[Site]:
    """A server with a mirror that has `pkg`, a team with a private index and one for all."""
    serverdir = folder / "server"
    limit = ["--max-request-body-size", str(LIMIT_BYTES)]
    with Threaded() as upstream:
        make_serverdir(serverdir, upstream.url)
        upstream.add("pkg", WHEEL)
        with (
            a_server(serverdir, *arguments, *limit) as server,
            an_nginx(
                program, folder / "front", name, "", "--serverdir", str(serverdir), "--port", str(server.port), *limit
            ) as nginx,
        ):
            site = Site(nginx, server, upstream, serverdir)
            site.make("/team", {"password": PASSWORD})
            site.make("/other", {"password": PASSWORD})
            site.make("/team/dev", {"bases": "root/pypi"}, "team")
            site.make("/team/private", {"bases": [], "acl_pkg_read": ["team"]}, "team")
            yield site


@pytest.fixture(scope="module")
def site(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(program, tmp_path_factory.mktemp("plain"), "nginx-devpi.conf", "--x-accel-redirect") as made:
        yield made


@pytest.fixture(scope="module")
def held(site: Site) -> str:
    """Path of a wheel that the server has."""
    path = f"/root/pypi/{WHEEL.path}"
    assert site.server.get(path)[2] == WHEEL.content
    until(lambda: site.blob(WHEEL).exists(), "the wheel's blob")
    return path


@pytest.fixture(scope="module")
def secret(site: Site) -> str:
    """Path of a wheel that only team may read."""
    assert site.upload("team/private", PRIVATE, "secret")[0] == 200
    return f"/team/private/{PRIVATE.path}"


# -- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
@pytest.mark.parametrize("accept", [JSON, "text/html"], ids=["json", "html"])
def test_a_page_comes_through_byte_for_byte(site: Site, accept: str, coding: str) -> None:
    path = "/root/pypi/+simple/pkg/"

    status, headers, body = site.nginx.get(path, accept=accept, accept_encoding=coding)
    direct = site.server.get(path, accept=accept, accept_encoding=coding)
    again = site.nginx.get(path, accept=accept, accept_encoding=coding, if_none_match=headers["etag"])

    assert (status, body) == (direct[0], direct[2])
    assert headers.get("content-encoding", "identity") == coding
    assert {name: headers.get(name) for name in SAME} == {name: direct[1].get(name) for name in SAME}
    assert again[0] == 304


def test_links_lead_through_nginx_whatever_a_client_says(site: Site) -> None:
    status, _, body = site.nginx.get("/root/pypi/+api", host="evil.example", x_outside_url="http://evil.example")

    assert status == 200
    assert json.loads(body)["result"]["login"] == f"http://127.0.0.1:{site.nginx.port}/+login"


def test_a_client_s_address_is_the_one_that_nginx_sees(site: Site) -> None:
    for _ in range(2):
        site.nginx.get("/team/private/+simple/", authorization=basic("team", "wrong"), x_real_ip="203.0.113.7")

    assert "203.0.113.7" not in site.server.log()


# -- files ------------------------------------------------------------------------------------


def test_a_held_file_is_sent_by_nginx_byte_for_byte(site: Site, held: str) -> None:
    status, headers, body = site.nginx.get(held)
    direct = site.server.get(held)

    assert (status, body) == (200, WHEEL.content)
    assert direct[2] == WHEEL.content
    assert site.nginx.handed(held)[-1] == f"/+internal-blobs/sha256/{WHEEL.sha256[:2]}/{WHEEL.sha256[2:]}"
    assert {name: headers.get(name) for name in SAME} == {name: direct[1].get(name) for name in SAME}
    assert "x-accel-redirect" not in headers | direct[1]


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [("bytes=0-0", 0, 1), ("bytes=1000-", 1000, SIZE), ("bytes=-7", SIZE - 7, SIZE)],
    ids=["begin", "middle", "end"],
)
def test_a_part_of_a_held_file_is_sent_by_nginx(site: Site, held: str, asked: str, first: int, end: int) -> None:
    status, headers, body = site.nginx.get(held, range=asked, if_range=f'"{WHEEL.sha256}"')

    assert (status, body) == (206, WHEEL.content[first:end])
    assert headers["content-range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert headers["etag"] == f'"{WHEEL.sha256}"'


def test_a_part_of_another_file_is_the_whole_of_this(site: Site, held: str) -> None:
    status, _, body = site.nginx.get(held, range="bytes=0-0", if_range='"another"')

    assert (status, body) == (200, WHEEL.content)


def test_a_part_behind_the_end_is_416(site: Site, held: str) -> None:
    status, headers, _ = site.nginx.get(held, range=f"bytes={SIZE}-")

    assert (status, headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_who_has_a_file_is_told_so(site: Site, held: str) -> None:
    status, headers, body = site.nginx.get(held, if_none_match=f'"{WHEEL.sha256}"')

    assert (status, headers["etag"], body) == (304, f'"{WHEEL.sha256}"', b"")


def test_the_head_of_a_file_says_what_its_get_says(site: Site, held: str) -> None:
    head = site.nginx.send("HEAD", held)
    whole = site.nginx.get(held)

    assert (head[0], head[2]) == (200, b"")
    assert {name: head[1].get(name) for name in SAME} == {name: whole[1].get(name) for name in SAME}


def test_metadata_is_sent_like_a_file(site: Site, held: str) -> None:
    site.nginx.get(f"{held}.metadata")

    status, headers, body = site.nginx.get(f"{held}.metadata")

    assert (status, body) == (200, WHEEL.metadata)
    assert headers["content-type"] == "text/plain; charset=utf-8"


def test_a_file_that_is_not_here_yet_is_streamed(site: Site) -> None:
    cold = a_wheel("cold", payload=os.urandom(400_000))
    site.upstream.add("cold", cold)

    status, _, body = site.nginx.get(f"/root/pypi/{cold.path}")

    assert (status, body) == (200, cold.content)
    assert site.nginx.handed(f"/root/pypi/{cold.path}") == ["-"]


# -- permission -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "expected"), [(None, 401), (basic("team", "wrong"), 401), (basic("other"), 403)],
    ids=["nobody", "wrong-password", "another-user"],
)  # fmt: skip
def test_a_private_file_is_for_those_who_may_read_it(site: Site, secret: str, login: str | None, expected: int) -> None:
    headers = {"authorization": login} if login else {}

    status, _, body = site.nginx.get(secret, **headers)
    owner = site.nginx.get(secret, authorization=basic("team"))

    assert status == expected
    assert b"s" * 100 not in body
    assert (owner[0], owner[2]) == (200, PRIVATE.content)
    assert "private" in owner[1]["cache-control"]
    # The line of the first answer may be there alone for a moment.
    until(lambda: site.nginx.handed(secret)[-1].startswith("/+internal-blobs/"), "nginx's line about the owner's file")


@pytest.mark.parametrize(
    "prefix", ["/+internal-blobs/", "/internal-blobs/", "/root/pypi/../../+internal-blobs/", "/%2Binternal-blobs/"]
)
def test_nobody_gets_a_blob_by_its_hash(site: Site, secret: str, prefix: str) -> None:
    name = f"sha256/{PRIVATE.sha256[:2]}/{PRIVATE.sha256[2:]}"

    status, _, body = site.nginx.get(prefix + name, x_accel_redirect=f"/+internal-blobs/{name}")

    assert secret
    assert status in (400, 404)
    assert b"s" * 100 not in body


def test_a_client_beside_nginx_gets_bytes(site: Site, held: str) -> None:
    status, headers, body = site.server.get(held)

    assert (status, body) == (200, WHEEL.content)
    assert "x-accel-redirect" not in headers


@pytest.mark.parametrize(
    ("peer", "offer", "settings", "handed"),
    [
        ("127.0.0.1", OFFER, {"x_accel_redirect": "yes"}, True),
        ("", OFFER, {"x_accel_redirect": "yes"}, True),
        ("10.1.1.1", OFFER, {"x_accel_redirect": "yes", "trusted_proxy": ["10.0.0.0/8"]}, True),
        ("203.0.113.1", OFFER, {"x_accel_redirect": "yes"}, False),
        ("127.0.0.1", "", {"x_accel_redirect": "yes"}, False),
        ("127.0.0.1", "X-Sendfile", {"x_accel_redirect": "yes"}, False),
        ("127.0.0.1", OFFER, {}, False),
    ],
    ids=["this-machine", "unix-socket", "trusted", "stranger", "no-offer", "another-way", "off"],
)
async def test_only_a_trusted_proxy_that_offers_it_gets_a_name_for_a_file(
    tmp_path: Path, peer: str, offer: str, settings: dict[str, Any], *, handed: bool
) -> None:
    async with a_world(tmp_path, **settings) as world:
        await a_team(world.client)
        await upload(world.client, "team/dev", WHEEL)

        answer = await Client(world.app, client=(peer, 5)).get(f"/team/dev/{WHEEL.path}", x_sendfile_type=offer)

    blob = f"/+internal-blobs/sha256/{WHEEL.sha256[:2]}/{WHEEL.sha256[2:]}"
    assert answer.status == 200
    assert (answer.headers.get("x-accel-redirect"), answer.body) == ((blob, b"") if handed else (None, WHEEL.content))


# -- uploads and installs ---------------------------------------------------------------------


def test_an_upload_comes_through_and_is_seen_at_once(site: Site) -> None:
    wheel = a_wheel("mine", payload=os.urandom(1_500_000))

    status, said = site.upload("team/dev", wheel, "mine")
    page = site.nginx.get("/team/dev/+simple/mine/", accept=JSON)[2]
    body = site.nginx.get(f"/team/dev/{wheel.path}")[2]

    assert status == 200, said
    assert [file["filename"] for file in json.loads(page)["files"]] == [wheel.filename]
    assert body == wheel.content


def test_an_upload_that_is_too_large_is_refused_by_the_server_in_its_words(site: Site) -> None:
    before = site.files()
    wheel = a_wheel("large", payload=os.urandom(LIMIT_BYTES + 1000))

    status, said = site.upload("team/dev", wheel, "large")

    assert status == 413
    assert b"nginx" not in said
    assert site.nginx.get("/team/dev/+simple/large/", accept=JSON)[0] == 404
    until(lambda: site.files() == before, "nothing left of the upload")


def test_pip_installs_through_nginx(site: Site, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{site.nginx.port}/team/dev/+simple/"

    done = run("pip", "install", "--index-url", url, "--no-cache-dir", "--target", str(tmp_path / "site"), "pkg")

    assert done.returncode == 0, done.stderr
    assert installed(tmp_path / "site") == {"pkg": "1.0"}


def test_below_a_path_and_over_a_socket_everything_is_where_it_should_be(program: Path, tmp_path: Path) -> None:
    # Of a socket's path 107 characters count; pytest's own folders are too deep.
    with Threaded() as upstream, tempfile.TemporaryDirectory() as sockets:
        upstream.add("pkg", WHEEL)
        make_serverdir(tmp_path / "server", upstream.url)
        flags = ["--serverdir", str(tmp_path / "server"), "--unix-socket", f"{sockets}/s"]
        with (tmp_path / "out.log").open("wb") as out:
            server = subprocess.Popen([BIN / "devpi-server", *flags], stdout=out, stderr=out, env=clean_env())
        try:
            with an_nginx(program, tmp_path / "front", "nginx-devpi.conf", "/index", *flags) as nginx:
                page = nginx.get("/index/root/pypi/+simple/pkg/", accept=JSON)
                file = nginx.get(f"/index/root/pypi/{WHEEL.path}")
                people = nginx.get("/index/root/pypi/+simple/pkg")
                api = json.loads(nginx.get("/index/+api")[2])
                outside = nginx.get("/root/pypi/+simple/pkg/")
        finally:
            server.terminate()
            server.wait(20)

    assert json.loads(page[2])["files"][0]["url"] == f"../../{WHEEL.path}"
    assert (file[0], file[2]) == (200, WHEEL.content)
    assert people[1]["location"] == "/index/root/pypi/+simple/pkg/"
    assert api["result"]["login"] == f"http://127.0.0.1:{nginx.port}/index/+login"
    assert outside[0] == 404


# -- copies -----------------------------------------------------------------------------------


@pytest.fixture
def caching(program: Path, tmp_path: Path) -> Iterator[Site]:
    with a_site(program, tmp_path, "nginx-devpi-caching.conf", "--x-accel-redirect") as made:
        yield made


def test_copies_are_used_after_asking_and_uploads_are_seen_at_once(caching: Site) -> None:
    nginx, page = caching.nginx, "/team/dev/+simple/mine/"
    old, new = a_wheel("mine", "1.0"), a_wheel("mine", "2.0")
    caching.upload("team/dev", old, "mine")

    first = nginx.get(page, accept=JSON, accept_encoding="gzip")
    second = nginx.get(page, accept=JSON, accept_encoding="gzip")
    html = nginx.get(page, accept="text/html", accept_encoding="gzip")
    direct = caching.server.get(page, accept=JSON, accept_encoding="gzip")
    caching.upload("team/dev", new, "mine", "2.0")
    third = json.loads(nginx.get(page, accept=JSON)[2])

    assert [answer[1]["x-cache-status"] for answer in (first, second, html)] == ["MISS", "REVALIDATED", "MISS"]
    assert first[2] == second[2] == direct[2]
    assert html[1]["content-type"].startswith("text/html")
    assert second[1]["cache-control"] == "no-cache"
    assert [file["filename"] for file in third["files"]] == [old.filename, new.filename]


def test_copies_of_files_are_used_after_asking_and_without_the_server(caching: Site) -> None:
    nginx, path, page = caching.nginx, f"/root/pypi/{WHEEL.path}", "/root/pypi/+simple/pkg/"
    nginx.get(page, accept=JSON)
    nginx.get(path)
    until(lambda: nginx.get(path)[1].get("x-cache-status") == "REVALIDATED", "a copy of the file")

    part = nginx.get(path, range="bytes=5-9")
    caching.server.process.terminate()
    caching.server.process.wait(20)
    file = nginx.get(path)
    listed = nginx.get(page, accept=JSON)
    other = nginx.get("/root/pypi/+simple/another/", accept=JSON)

    assert (part[0], part[2]) == (206, WHEEL.content[5:10])
    assert (file[0], file[1]["x-cache-status"], file[2]) == (200, "STALE", WHEEL.content)
    assert (listed[0], listed[1]["x-cache-status"]) == (200, "STALE")
    assert other[0] == 502


def test_what_is_private_is_never_copied_and_what_becomes_private_is_kept_back(caching: Site) -> None:
    nginx, secret = caching.nginx, f"/team/private/{PRIVATE.path}"
    opened = a_wheel("opened")
    caching.upload("team/private", PRIVATE, "secret")
    caching.upload("team/dev", opened, "opened")

    private = [nginx.get(path, authorization=basic("team")) for path in (secret, "/team/private/+simple/secret/") * 2]
    refused = [nginx.get(path)[0] for path in (secret, "/team/private/+simple/secret/")]
    public = [nginx.get(f"/team/dev/{opened.path}") for _ in range(2)]
    caching.server.send_json("PATCH", "/team/dev", ["acl_pkg_read=team"], authorization=basic("team"))
    after = nginx.get(f"/team/dev/{opened.path}")

    assert [answer[0] for answer in private] == [200] * 4
    assert [answer[1]["x-cache-status"] for answer in private] == ["MISS"] * 4
    assert refused == [401, 401]
    assert [answer[1]["x-cache-status"] for answer in public] == ["MISS", "REVALIDATED"]
    assert (after[0], opened.content in after[2]) == (401, False)


def test_a_page_made_for_one_client_is_given_to_no_other(caching: Site) -> None:
    page = "/root/pypi/+simple/pkg/"

    absolute = caching.nginx.get(page, accept=JSON, x_devpi_absolute_urls="1")
    usual = caching.nginx.get(page, accept=JSON)

    assert json.loads(absolute[2])["files"][0]["url"].startswith(f"http://127.0.0.1:{caching.nginx.port}/")
    assert json.loads(usual[2])["files"][0]["url"].startswith("../../+f/")


# -- too many requests ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nginx-devpi.conf", "nginx-devpi-caching.conf"])
def test_one_address_gets_no_more_than_its_rate_and_is_told_when_to_come_back(
    program: Path, tmp_path: Path, name: str
) -> None:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    with (
        a_server(tmp_path / "server") as server,
        an_nginx(
            program, tmp_path / "front", name, "", "--serverdir", str(tmp_path / "server"), "--port", str(server.port),
            "--nginx-rate", "1",
        ) as nginx,
    ):  # fmt: skip
        answers = at_once(nginx, "/+health", 40, until=28)
        seen = server.log().count("GET /+health 200")

    refused = [answer for answer in answers if not answer.startswith("HTTP/1.1 200 ")]
    assert len(answers) - len(refused) >= 5  # ten are answered, ten wait
    assert len(refused) >= 10
    assert all(answer.startswith("HTTP/1.1 429 ") for answer in refused)
    assert all("Retry-After: 1\r\n" in answer and "--nginx-rate" in answer for answer in refused)
    assert seen < 40


def test_uv_waits_for_its_turn(program: Path, tmp_path: Path) -> None:
    names = [f"dep{number}" for number in range(40)]
    with Threaded() as upstream:
        make_serverdir(tmp_path / "server", upstream.url)
        for name in names:
            upstream.add(name, a_wheel(name))
        with (
            a_server(tmp_path / "server") as server,
            an_nginx(
                program, tmp_path / "front", "nginx-devpi.conf", "",
                "--serverdir", str(tmp_path / "server"), "--port", str(server.port), "--nginx-rate", "6",
            ) as nginx,
        ):  # fmt: skip
            at_once(nginx, "/+health", 60, until=60)
            done = subprocess.run(
                [
                    BIN / "uv", "pip", "install", "--dry-run", "--target", tmp_path / "t", "--cache-dir", tmp_path / "c",
                    "--index-url", f"http://127.0.0.1:{nginx.port}/root/pypi/+simple/", *names,
                ],
                capture_output=True, text=True, timeout=120, check=False, env=clean_env(HOME=str(tmp_path)),
            )  # fmt: skip

    assert done.returncode == 0, done.stderr


def at_once(nginx: Nginx, path: str, number: int, *, until: int) -> list[str]:
    """The first `until` answers to so many requests that come before any was answered."""
    answers: list[str] = []
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as waiting:
        for _ in range(number):
            asking = stack.enter_context(socket.create_connection(("127.0.0.1", nginx.port), 30))
            asking.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            waiting.register(asking, selectors.EVENT_READ)
        while len(answers) < until:
            for key, _ in waiting.select(30):
                assert isinstance(key.fileobj, socket.socket)
                with key.fileobj.makefile("rb") as answer:
                    answers.append(answer.read().decode())
                waiting.unregister(key.fileobj)
    return answers


def test_without_a_rate_nobody_is_refused(site: Site) -> None:
    assert {site.nginx.get("/+health")[0] for _ in range(100)} == {200}
