"""`--require-login`: who is nobody gets in nowhere."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import a_wheel
from tests.support.client import Answer
from tests.support.publish import basic, upload
from tests.support.server import a_server
from tests.support.team import log_in, root, settled
from tests.support.world import World, make_serverdir

WHEEL = a_wheel("pkg", "1.0")
OWN = a_wheel("own", "1.0")
OPEN = {
    ("GET", "/+api"), ("GET", "/{user}/+api"), ("GET", "/{user}/{index}/+api"), ("POST", "/+login"),
    ("GET", "/+authcheck"), ("GET", "/+health"), ("GET", "/+health/ready"), ("GET", "/+health/live"),
    ("GET", "/robots.txt"),
}  # fmt: skip


@pytest.fixture
async def closed(world: World) -> World:
    """Pages and files that everybody could read are held; then the server is for those who log in."""
    world.upstream.add("pkg", WHEEL)
    await upload(world.client, "team/dev", OWN, "own")
    for path in ("/root/pypi/+simple/pkg/", "/team/dev/+simple/own/", f"/root/pypi/{WHEEL.path}"):
        assert (await world.client.get(path)).status == 200
    await settled(world)
    await world.restart(require_login=True)
    return world


async def every_route(world: World) -> list[tuple[str, str]]:
    """(method, path) of the whole API, with the placeholders in."""
    document = (await world.client.send("GET", "/+openapi", **root(world))).json
    routes = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    assert len(routes) > 40
    return routes


def filled(path: str) -> str:
    values = {"user": "team", "index": "dev", "project": "own", "version": "1.0", "path": OWN.path.partition("/")[2]}
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: values[found[1]], path)


async def test_nobody_gets_in_anywhere_but_to_log_in(closed: World) -> None:
    before = closed.everything()

    for method, path in await every_route(closed):
        answer = await closed.client.send(method, filled(path), {} if method in ("PUT", "PATCH", "POST") else None)
        if (method, path) in OPEN:
            assert answer.status != 401 or path == "/+login", (method, path)
        else:
            assert answer.status == 401, (method, path, answer.status)
            assert answer.headers["www-authenticate"].startswith("Basic"), (method, path)
    assert closed.everything() == before


@pytest.mark.parametrize(
    "path",
    [
        "/", "/root", "/nobody", "/root/pypi", "/root/nothing", "/team/dev/", "/root/pypi/+simple", "/root/pypi/+simple/",
        "/root/pypi/+simple/pkg/", "/root/pypi/pkg", "/root/pypi/pkg/1.0", f"/root/pypi/{WHEEL.path}",
        f"/root/pypi/{WHEEL.path}.metadata", f"/team/dev/{OWN.path}", "/team/dev/+simple/own/?explain", "/+status",
        "/+metrics", "/+audit", "/+nothing", "/a/b/c/d/e", "/+api/x", "/root/pypi/pkg/+api", "/+health/../+status",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("agent", "status"),
    [("pip/26.0", 401), ("Mozilla/5.0", 401), ("devpi-client/7.0", 403)],  # devpi-client drops its login for a 401
)
async def test_what_was_public_is_so_no_more(closed: World, path: str, agent: str, status: int) -> None:
    for method, told in (("GET", status), ("HEAD", 401)):
        answer = await closed.client.send(method, path, user_agent=agent)

        assert answer.status == told, (method, path)
        assert b"pkg-1.0" not in answer.body
        assert b"own-1.0" not in answer.body


@pytest.mark.parametrize("user", ["team", "somebody"])
async def test_a_wrong_password_is_nobody(closed: World, user: str) -> None:
    answer = await closed.client.get("/root/pypi/+simple/pkg/", authorization=basic(user, "wrong"))

    assert answer.status == 401


async def test_who_logs_in_sees_what_his_rights_say(closed: World) -> None:
    token = (await log_in(closed.client, "team")).json["result"]["password"]

    for path in ("/root/pypi/+simple/pkg/", "/team/dev/+simple/own/", f"/root/pypi/{WHEEL.path}", "/", "/+status"):
        for sent in (basic("team"), basic("team", token), f"Bearer {token}"):
            answer = await closed.client.get(path, authorization=sent)
            assert answer.status == 200, (path, sent)
            if "+simple" in path or "+f" in path:
                assert "private" in answer.headers["cache-control"]
    assert (await closed.client.get("/+audit", authorization=basic("team"))).status == 403


async def test_nobody_learns_which_users_and_indexes_there_are(closed: World) -> None:
    def shape(answer: Answer) -> tuple[int, set[str]]:
        return answer.status, set(answer.json["result"])

    there = [await closed.client.get(path) for path in ("/team/+api", "/team/dev/+api", "/root/pypi/+api")]
    not_there = [await closed.client.get(path) for path in ("/nobody/+api", "/team/nothing/+api", "/nobody/x/+api")]

    assert [shape(answer) for answer in there] == [shape(answer) for answer in not_there]
    known = await closed.client.get("/nobody/x/+api", authorization=basic("team"))
    assert known.status == 404


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("/+login", 200), ("/root/pypi/+api", 200), ("/+health/live", 200), ("/root/pypi/+simple/pkg/", 401), ("/", 401),
        ("/+status", 401), ("/root/nothing/+simple/", 401), (f"/root/pypi/{WHEEL.path}", 401),
    ],
)  # fmt: skip
async def test_a_proxy_that_asks_is_told_the_same(closed: World, uri: str, status: int) -> None:
    assert (await closed.client.get("/+authcheck", x_original_uri=uri)).status == status
    assert (await closed.client.get("/+authcheck", x_original_uri=uri, authorization=basic("team"))).status == 200


async def test_nobody_makes_himself_a_user(closed: World) -> None:
    before = closed.everything()

    answer = await closed.client.send("PUT", "/stranger", {"password": "x"})

    assert answer.status == 401
    assert closed.everything() == before


def test_the_flag_closes_a_real_server(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")

    with a_server(tmp_path / "server", "--require-login") as server:
        found: dict[str, Any] = {
            path: server.get(path)[0] for path in ("/", "/+api", "/+health", "/root/pypi/+simple/")
        }

    assert found == {"/": 401, "/+api": 200, "/+health": 200, "/root/pypi/+simple/": 401}
