"""Ways to upstream through proxies: the environment's, a mirror's own, and whom they may be used by."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.ports import free_port
from stilton.domain.errors import SetupError
from stilton.domain.proxies import is_listed, of_environment
from stilton.domain.proxies import proxy as checked
from tests.support.builders import a_wheel
from tests.support.proxy import Proxy
from tests.support.publish import a_user, an_index, upload
from tests.support.server import run
from tests.support.team import root, settled
from tests.support.world import World

FAR = "http://upstream.invalid/simple/"
WHEEL = a_wheel()
PAGE = "/root/far/+simple/pkg/"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the machine's own proxies."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def far(world: World) -> AsyncIterator[Proxy]:
    """The proxy by which alone upstream.invalid is reached."""
    world.upstream.add("pkg", WHEEL)
    async with Proxy(world.upstream.port) as proxy:
        yield proxy


async def mirror(world: World, **keys: str) -> None:
    """root/far, whose upstream's name only a proxy knows."""
    document = {"type": "mirror", "mirror_url": FAR, **keys}
    answer = await world.client.send("PUT", "/root/far", document, **root(world))
    assert answer.status in (200, 201), answer.text


def url(proxy: Proxy, scheme: str = "http", login: str = "") -> str:
    return f"{scheme}://{login}{'@' if login else ''}127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("form", ["http://{}", "{}", "http://{}/"])
async def test_the_environments_proxy_is_taken(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str, form: str
) -> None:
    monkeypatch.setenv(variable, form.format(f"127.0.0.1:{far.port}"))
    await mirror(world)

    assert (await world.client.get(PAGE)).status == 200
    assert far.asked == [("GET", f"{FAR}pkg/")]


@pytest.mark.parametrize(
    ("scheme", "how"), [("socks5", "SOCKS5"), ("socks5h", "SOCKS5"), ("socks4", "SOCKS4"), ("socks4a", "SOCKS4")]
)
async def test_a_socks_proxy_looks_names_up_itself(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch, scheme: str, how: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", url(far, scheme))
    await mirror(world)

    assert (await world.client.get(PAGE)).status == 200
    assert far.asked == [(how, "upstream.invalid:80")]


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_files_come_through_the_proxy_too(world: World, far: Proxy, scheme: str) -> None:
    await mirror(world, mirror_url=world.upstream.url, mirror_proxy=url(far, scheme))

    assert (await world.client.get(f"/root/far/{WHEEL.path}")).body == WHEEL.content
    await settled(world, "root/far")
    assert far.asked


async def test_pages_lead_to_the_proxys_own_machine_no_more_than_elsewhere(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url(far))
    await mirror(world)
    assert (await world.client.get(PAGE)).status == 200
    asked = list(far.asked)

    answer = await world.client.get(f"/root/far/{WHEEL.path}")  # of 127.0.0.1, says a page of who knows where

    assert answer.status == 502
    assert "must not lead to the address 127.0.0.1" in answer.text
    assert far.asked == asked


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_mirrors_own_proxy_comes_before_the_environments(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    far.login = "me:p@ss"
    await mirror(world, mirror_proxy=url(far, scheme, "me:p%40ss"))

    assert (await world.client.get(PAGE)).status == 200
    assert len(far.asked) == 1


async def test_direct_goes_past_the_environments_proxy(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url(far))
    await mirror(world, mirror_url=world.upstream.url, mirror_proxy="direct")

    assert (await world.client.get(PAGE)).status == 200
    assert far.asked == []


async def test_a_mirror_takes_its_new_proxy_at_once(world: World, far: Proxy) -> None:
    await mirror(world, mirror_proxy=f"http://127.0.0.1:{free_port()}")
    assert (await world.client.get(PAGE)).status == 503

    changed = await world.client.send("PATCH", "/root/far", [f"mirror_proxy={url(far)}"], **root(world))

    assert changed.status == 200
    assert (await world.client.get(PAGE)).status == 200


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks4"])
async def test_a_proxy_that_is_not_there_is_named(world: World, scheme: str) -> None:
    port = free_port()
    await mirror(world, mirror_proxy=f"{scheme}://me:hidden-word@127.0.0.1:{port}")

    answer = await world.client.get(PAGE)

    assert answer.status == 503
    assert f"through the proxy {scheme}://127.0.0.1:{port}: " in answer.text
    assert "hidden-word" not in answer.text


@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("upstream", [FAR, FAR.replace("http:", "https:")])
async def test_a_proxy_that_wants_another_login_is_named(world: World, far: Proxy, scheme: str, upstream: str) -> None:
    far.login = "me:right"
    await mirror(world, mirror_url=upstream, mirror_proxy=url(far, scheme, "me:hidden-word"))

    answer = await world.client.get(PAGE)

    assert answer.status == 503
    assert f"through the proxy {url(far, scheme)}: " in answer.text
    assert "hidden-word" not in answer.text
    assert world.upstream.seen == []


async def test_a_proxy_that_repeats_its_login_shows_it_to_nobody(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 me:hidden@word " + head.replace(b"\r\n", b" ") + b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(repeat, "127.0.0.1", 0) as server:
        own = f"http://me:hidden%40word@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await mirror(world, mirror_url=FAR.replace("http:", "https:"), mirror_proxy=own)
        answer = await world.client.get(PAGE)
    status = await world.client.get("/+status")

    assert answer.status == 503
    assert "502, message='me:****" in answer.text
    shown = answer.text + status.text + caplog.text
    assert not [secret for secret in ("hidden@word", "hidden%40word", "bWU6aGlkZGVuQHdvcmQ=") if secret in shown]


async def test_a_proxys_login_is_shown_to_nobody_and_kept(world: World, far: Proxy) -> None:
    far.login = "me:hidden-word"
    await mirror(world, mirror_proxy=url(far, login="me:hidden-word"))

    for asked in ("/root", "/root/far", "/root/far?no_projects", "/+status", "/+audit"):
        assert "hidden-word" not in (await world.client.send("GET", asked, **root(world))).text
    patched = await world.client.send("PATCH", "/root/far", ["title=T"], **root(world))
    assert patched.json["result"]["mirror_proxy"] == url(far)
    back = await world.client.send("PATCH", "/root/far", {**patched.json["result"], "title": "U"}, **root(world))

    assert back.status == 200
    assert (await world.client.get(PAGE)).status == 200


@pytest.mark.parametrize("upstream", [FAR, "http://203.0.113.5/simple/"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_nobody_else_has_the_server_talk_to_its_own_network_by_a_proxy(
    world: World, far: Proxy, scheme: str, upstream: str
) -> None:
    await a_user(world.client, "team")
    for host in ("127.0.0.1", "localhost"):
        name = f"by-{host.replace('.', '-')}"
        own = f"{scheme}://{host}:{far.port}"
        await an_index(world.client, "team", name, type="mirror", mirror_url=upstream, mirror_proxy=own)

        answer = await world.client.get(f"/team/{name}/+simple/pkg/")

        assert answer.status in (502, 503)
        assert "for those who run this server" in answer.text
    assert far.asked == []
    assert world.upstream.seen == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (["mirror_proxy=http://proxy.example"], 400),
        (["mirror_proxy=http://proxy.example", "mirror_url=http://me:hidden@upstream.invalid/simple/"], 200),
        ({"mirror_proxy": "http://proxy.example"}, 400),
        ({"mirror_proxy": "http://proxy.example", "mirror_url": FAR}, 400),
        ({"mirror_proxy": "http://proxy.example", "mirror_url": f"{FAR}other/"}, 200),
        (["mirror_proxy=direct"], 200),
    ],
    ids=range(6),
)
async def test_an_owner_does_not_read_his_mirrors_login_by_a_proxy_of_his_own(
    world: World, change: object, status: int
) -> None:
    await a_user(world.client, "team")
    await an_index(world.client, "team", "far", type="mirror", mirror_url=FAR)
    login = ["mirror_url=http://me:hidden@upstream.invalid/simple/"]
    assert (await world.client.send("PATCH", "/team/far", login, **root(world))).status == 200
    before = world.everything()

    answer = await world.client.send("PATCH", "/team/far", change, user="team")

    assert answer.status == status
    if status == 400:
        assert "say mirror_url with its login" in answer.json["message"]
        assert world.everything() == before
        assert (await world.client.send("PATCH", "/team/far", change, **root(world))).status == 200


async def test_a_name_that_leads_into_the_own_network_is_not_asked_for_through_the_environments_proxy(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url(far))
    await a_user(world.client, "team")
    await an_index(world.client, "team", "near", type="mirror", mirror_url="http://localhost/simple/")

    answer = await world.client.get("/team/near/+simple/pkg/")

    assert answer.status in (502, 503)
    assert "--internal-networks" in answer.text
    assert far.asked == []


async def test_pushes_take_the_environments_proxy(world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", url(far, "socks5"))
    await a_user(world.client, "team")
    await an_index(world.client, "team", "dev")
    await upload(world.client, "team/dev", WHEEL)
    push = {
        "name": "pkg", "version": "1.0", "posturl": "http://elsewhere.invalid/legacy/",
        "username": "me", "password": "word",
    }  # fmt: skip

    await world.client.send("POST", "/team/dev", push, user="team")

    assert set(far.asked) == {("SOCKS5", "elsewhere.invalid:80")}


@pytest.mark.parametrize(
    "text",
    [
        "ftp://proxy",
        "http://",
        "http://[",
        "http://proxy:port",
        "http://proxy:99999",
        "proxy/path",
        "a b",
        "",
        "socks6://p",
    ],
)
async def test_what_is_no_proxy_is_refused(world: World, text: str) -> None:
    before = world.everything()
    document = {"type": "mirror", "mirror_url": FAR, "mirror_proxy": text.replace("//", "//me:hidden-word@")}

    answer = await world.client.send("PUT", "/root/far", document, **root(world))

    assert answer.status == 400
    assert "it takes http://HOST:PORT" in answer.json["message"]
    assert "direct" in answer.json["message"]
    assert "hidden-word" not in answer.text
    assert world.everything() == before


def test_a_variable_that_names_no_proxy_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "server"

    done = run("devpi-server", "--init", "--serverdir", str(folder), env={"HTTPS_PROXY": "ftp://me:hidden-word@proxy"})

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: HTTPS_PROXY is 'ftp://****@proxy': it takes http://HOST:PORT")
    assert not folder.exists()


def test_forms_of_a_proxy() -> None:
    assert checked("proxy:3128", "x") == "http://proxy:3128"
    assert checked("me:word@proxy", "x") == "http://me:word@proxy"
    assert checked("socks5://proxy", "x") == "socks5://proxy:1080"
    assert of_environment({"http": "proxy:1", "no": "a,b", "ftp": "x", "all": ""}) == {"http": "http://proxy:1"}
    with pytest.raises(SetupError, match=r"^ALL_PROXY is"):
        of_environment({"all": "nonsense:x"})


@pytest.mark.parametrize(
    ("place", "no_proxy", "is_there"),
    [
        ("10.1.2.3:80", "10.0.0.0/8", True),
        ("11.1.2.3:80", "10.0.0.0/8", False),
        ("10.1.2.3:80", "10.1.2.3", True),
        ("[fd00::7]:443", "fd00::/16", True),
        ("[::1]:3141", "::1", True),
        ("[::1]:3141", "[::1]:3141", True),
        ("[::1]:3142", "[::1]:3141", False),
        ("near.example:443", "near.example:443", True),
        ("near.example:443", "near.example:8443", False),
        ("a.near.example:443", "other, .near.example", True),
        ("a.near.example:443", "other near.example", True),
        ("near.example:443", ".near.example", True),
        ("near.example.:443", "near.example", True),
        ("linear.example:443", "near.example", False),
        ("Near.Example:443", "NEAR.example.", True),
        ("far.example:443", "near.example,*", True),
        ("far.example:443", ", ,", False),
        ("far.example:443", "10.0.0.0/99", False),
    ],
)
def test_forms_of_no_proxy(place: str, no_proxy: str, is_there: bool) -> None:
    assert is_listed(place, no_proxy) is is_there


async def test_a_network_of_no_proxy_is_gone_to_without_proxy(
    world: World, far: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url(far))
    monkeypatch.setenv("NO_PROXY", "far.example,127.0.0.0/8")
    await mirror(world, mirror_url=world.upstream.url)

    assert (await world.client.get(PAGE)).status == 200
    assert far.asked == []
