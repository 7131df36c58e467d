"""How upstream is reached: proxies, own authorities, .netrc. Of the environment, read when a mirror is opened."""

import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from bench.ports import free_port
from tests.support.builders import a_wheel
from tests.support.client import Client
from tests.support.publish import a_user, an_index
from tests.support.team import LOOPBACK
from tests.support.upstream import FakeUpstream
from tests.support.world import Clock, World, a_world, an_app, make_serverdir

PAGE = "/root/pypi/+simple/pkg/"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of the machine's own proxies, authorities and secrets."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


async def test_pages_come_through_the_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeUpstream() as proxy:
        proxy.add("pkg", a_wheel())
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        folder = tmp_path / "server"
        make_serverdir(folder, "http://upstream.invalid/simple/")
        app = an_app(folder, Clock(), {})
        await app.open()
        try:
            answer = await Client(app).get(PAGE)
        finally:
            await app.close()

    assert answer.status == 200
    assert proxy.seen[0][2]["Host"] == "upstream.invalid"


async def test_no_proxy_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with a_world(tmp_path) as world:
        world.upstream.add("pkg", a_wheel())

        answer = await world.client.get(PAGE)

    assert answer.status == 200


async def test_netrc_gives_credentials_to_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with a_world(tmp_path) as world:
        world.upstream.users = {"me": "s3cret"}
        world.upstream.add("pkg", a_wheel())

        answer = await world.client.get(PAGE)

    assert answer.status == 200


async def test_netrc_is_not_for_mirrors_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with a_world(tmp_path, internal_networks=LOOPBACK) as world:
        world.upstream.add("pkg", a_wheel())
        await a_user(world.client, "team")
        await an_index(world.client, "team", "near", type="mirror", mirror_url=world.upstream.url)

        answer = await world.client.get("/team/near/+simple/pkg/")

        assert answer.status == 200
        assert [headers for _, _, headers in world.upstream.seen if "Authorization" in headers] == []


async def test_without_credentials_a_closed_upstream_is_said_to_refuse(world: World) -> None:
    world.upstream.users = {"me": "s3cret"}
    world.upstream.add("pkg", a_wheel())

    answer = await world.client.get(PAGE)

    assert answer.status == 502
    assert "error 401" in answer.text


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_authority_of_ones_own_is_trusted_when_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, trusted: bool
) -> None:
    authority = trustme.CA()
    if trusted:
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    page = web.Application()

    async def answer_page(request: web.Request) -> web.Response:
        del request
        return web.Response(text='<a href="/f/pkg-1.0.tar.gz">pkg-1.0.tar.gz</a>', content_type="text/html")

    page.router.add_get("/simple/pkg/", answer_page)
    runner = web.AppRunner(page, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    folder = tmp_path / "server"
    make_serverdir(folder, f"https://127.0.0.1:{runner.addresses[0][1]}/simple/")
    app = an_app(folder, Clock(), {})
    await app.open()
    try:
        answer = await Client(app).get(PAGE)
    finally:
        await app.close()
        await runner.cleanup()

    assert answer.status == (200 if trusted else 503)
