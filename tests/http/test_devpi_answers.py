"""devpi's JSON, status pages, proxies in front, and bad input."""

import random

import pytest

from tests.support.builders import a_wheel
from tests.support.client import Client
from tests.support.world import World


async def test_root_shows_users_and_indexes(world: World) -> None:
    answer = await world.client.get("/", accept="*/*")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json["type"] == "list:userconfig"
    pypi = answer.json["result"]["root"]["indexes"]["pypi"]
    assert (pypi["type"], pypi["volatile"]) == ("mirror", False)


async def test_every_answer_has_devpis_headers(world: World) -> None:
    for path in ("/", "/+api", "/+status", "/nobody", "/root/pypi/+simple/nosuch/", "/root/pypi/+f/aaa/bbb/x-1.tar.gz"):
        answer = await world.client.get(path)

        assert answer.headers["x-devpi-api-version"] == "2", path
        assert answer.headers["x-devpi-server-version"] == "7.0.0"
        assert answer.headers["x-devpi-serial"].isdigit()
        assert answer.headers["x-devpi-uuid"] == answer.headers["x-devpi-master-uuid"]


async def test_discovery_names_the_index_and_its_pages(world: World) -> None:
    result = (await world.client.get("/root/pypi/+api")).json["result"]

    assert result["index"] == "http://testserver/root/pypi"
    assert result["simpleindex"] == "http://testserver/root/pypi/+simple/"
    assert result["login"] == "http://testserver/+login"
    assert result["authstatus"] == ["noauth", "", []]
    assert "pypisubmit" not in result


async def test_an_index_shows_its_projects_unless_told_not_to(world: World) -> None:
    world.upstream.add("pkg", a_wheel())

    full = (await world.client.get("/root/pypi")).json["result"]
    short = (await world.client.get("/root/pypi/?no_projects=")).json["result"]

    assert full["projects"] == ["pkg"]
    assert "projects" not in short


async def test_a_project_shows_versions_with_links(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel, requires_python=">=3.9")

    project = (await world.client.get("/root/pypi/pkg", accept="application/json")).json
    version = (await world.client.get("/root/pypi/pkg/1.0", accept="application/json")).json
    missing = await world.client.get("/root/pypi/pkg/9.9", accept="application/json")

    assert project["type"] == "projectconfig"
    assert version["result"] == project["result"]["1.0"]
    assert version["result"]["requires_python"] == ">=3.9"
    assert version["result"]["+links"][0]["href"] == f"http://testserver/root/pypi/{wheel.path}"
    assert version["result"]["+links"][0]["hash_spec"] == f"sha256={wheel.sha256}"
    assert missing.status == 404
    assert missing.json["message"] == "The version 9.9 of project pkg does not exist."


@pytest.mark.parametrize(
    "path", ["/nobody", "/root/nothing", "/root/nothing/+simple/x/", "/root/nothing/+f/a/b/c-1.whl"]
)
async def test_what_does_not_exist_is_404_in_words(world: World, path: str) -> None:
    answer = await world.client.get(path, accept="application/json")

    assert answer.status == 404
    assert answer.json["message"]


async def test_health_and_metrics_answer(world: World) -> None:
    world.upstream.add("pkg", a_wheel())
    await world.client.get("/root/pypi/+simple/pkg/")

    health = await world.client.get("/+health")
    live = await world.client.get("/+health/live")
    metrics = await world.client.get("/+metrics")

    assert health.json["upstreams"] == {"root/pypi": "up"}
    assert live.status == 200
    assert 'stilton_pages_total{kind="miss"} 1.0' in metrics.text
    assert 'stilton_upstream_up{index="root/pypi"} 1.0' in metrics.text


async def test_refresh_asks_upstream_at_once(world: World) -> None:
    world.upstream.add("pkg", a_wheel())
    await world.client.get("/root/pypi/+simple/pkg/")
    world.upstream.add("pkg", a_wheel(version="2.0"))

    answer = await world.client.request("POST", "/root/pypi/+simple/pkg/refresh")
    page = await world.client.get("/root/pypi/+simple/pkg/")

    assert (answer.status, answer.headers["location"]) == (302, "/root/pypi/+simple/pkg/")
    assert "pkg-2.0" in page.text


async def test_an_outside_url_is_believed_from_this_machine_only(world: World) -> None:
    outside = "https://pkgs.example.com/mount"

    near = await world.client.get("/root/pypi/+api", x_outside_url=outside)
    far = await Client(world.app, client=("203.0.113.9", 1)).get("/root/pypi/+api", x_outside_url=outside)
    redirect = await world.client.get("/root/pypi/+simple/pkg", x_outside_url=outside)

    assert near.json["result"]["index"] == "https://pkgs.example.com/mount/root/pypi"
    assert far.json["result"]["index"] == "http://testserver/root/pypi"
    assert redirect.headers["location"] == "/mount/root/pypi/+simple/pkg/"


@pytest.mark.parametrize("host", ["evil\r\nx: y", "a b", "user@evil", '"'])
async def test_a_bad_host_is_not_repeated(world: World, host: str) -> None:
    answer = await world.client.get("/root/pypi/+api", x_outside_url=f"http://{host}")

    assert answer.json["result"]["index"] == "http://testserver/root/pypi"


@pytest.mark.parametrize(
    "path",
    [
        "/root/pypi/+f/..%2f..%2f..%2fetc%2fpasswd",
        "/root/pypi/+f/%2e%2e/%2e%2e/.serverversion",
        "/root/pypi/+f/../../../.nodeinfo",
        "/root/pypi/+e/%00/x-1.0.tar.gz",
        "/root/pypi/+f/a\\b/c-1.0.whl",
        "/root/pypi/+simple/%2e%2e/",
        "/root/pypi/+simple/%0d%0aX-Evil:%20y/",
        "/root/pypi/+simple/" + "a" * 300 + "/",
        "/root/pypi/+simple/-/",
        "/root/pypi/+simple/é/",
        "/root/pypi/+simple/pkg/extra/",
        "/root/pypi/+simple//",
        "/" + "x" * 9000,
        "//root/pypi/+simple/pkg/",
        "/root//+simple/pkg/",
        "/root/pypi/+f/" + "a/" * 500 + "x-1.0.whl",
        "/root/pypi/+f/aaa/bbbbbbbbbbbbb/" + "x" * 300 + "-1.0.tar.gz",
    ],
    ids=range(17),
)
async def test_bad_paths_are_refused_change_nothing_and_ask_nobody(world: World, path: str) -> None:
    serial = world.app.db.news()

    answer = await world.client.get(path)

    assert answer.status in (400, 404)
    assert "x-evil" not in answer.headers
    assert "uuid" not in answer.text
    assert world.app.db.news() == serial
    assert not [asked for asked in world.upstream.paths() if ".." in asked]
    assert not world.blobs


async def test_unknown_names_leave_no_trace_but_a_bounded_memory(world: World) -> None:
    rng = random.Random(7)
    serial = world.app.db.news()

    for _ in range(500):
        await world.client.get(f"/root/pypi/+simple/n{rng.randrange(10**9)}/")

    mirror = (await world.app.indexes.mirrors())[0]
    assert world.app.db.news() == serial
    assert world.app.db._watch.execute("SELECT count(*) FROM mirrored").fetchone() == (0,)
    assert mirror.projects._absent._limit == 10_000


async def test_an_error_nobody_foresaw_shows_no_traceback(world: World) -> None:
    world.app.db._here.close()

    answer = await world.client.get("/root/pypi/+simple/pkg/", accept="application/json")

    assert answer.status == 500
    request = answer.headers["x-request-id"]
    assert answer.json == {"message": f"Internal error, request {request}; the server's log has it."}
