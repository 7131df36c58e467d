"""Where a mirror may send the server: what a host is, and what its name servers say."""

import socket
from typing import Any

import pytest

from stilton.domain.errors import UpstreamWrong
from stilton.domain.proxies import Proxies
from stilton.upstream.guard import Guard, NotAllowed
from tests.support.builders import a_wheel
from tests.support.publish import a_user, an_index
from tests.support.world import World

# What Unicode's compatibility forms make of 127.0.0.1 and localhost.
WIDE = ["１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "[::ffff:127.0.0.1]", "ｌocalhost"]  # noqa: RUF001 - the point


def guard(mirror_url: str, *networks: str, proxy: str | None = None) -> Guard:
    return Guard(mirror_url, networks, Proxies(proxy, {}, lambda _: False))


@pytest.mark.parametrize("host", WIDE, ids=range(len(WIDE)))
async def test_a_host_is_what_is_connected_to_however_it_is_written(world: World, host: str) -> None:
    await a_user(world.client, "team")
    own = f"http://{host}:{world.upstream.port}"
    await an_index(world.client, "team", "near", type="mirror", mirror_url=f"{own}/simple/")
    await an_index(world.client, "team", "by", type="mirror", mirror_url="http://upstream.invalid/", mirror_proxy=own)

    for index in ("near", "by"):
        answer = await world.client.get(f"/team/{index}/+simple/pkg/")

        assert answer.status in (502, 503)
        assert "for those who run this server" in answer.text
    assert world.upstream.seen == []


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", "xn--a.example", "127.1"])
async def test_a_host_that_is_none_is_an_upstream_that_does_not_answer(world: World, host: str) -> None:
    await a_user(world.client, "team")
    await an_index(world.client, "team", "near", type="mirror", mirror_url=f"http://{host}/simple/")
    await an_index(
        world.client, "team", "by", type="mirror", mirror_url="http://upstream.invalid/", mirror_proxy=f"http://{host}"
    )

    for index in ("near", "by"):
        assert (await world.client.get(f"/team/{index}/+simple/pkg/")).status in (502, 503)


async def test_a_second_address_of_a_mirrors_name_lets_its_pages_lead_no_closer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answered(_: str, port: int, *__: Any, **___: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("1.1.1.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    watched = guard("http://mirror.example/simple/")

    with pytest.raises(UpstreamWrong):
        await watched.check("http://127.0.0.1:9/", None)
    assert [entry["host"] for entry in await watched.resolve("elsewhere.example", 80)] == ["1.1.1.1"]


async def test_pages_of_a_mirror_in_an_internal_network_lead_to_no_other_one() -> None:
    watched = guard("http://127.0.0.1/simple/", "127.0.0.1/32")

    await watched.check("http://127.0.0.1:9/", None)

    for elsewhere in ("127.0.0.2", "10.0.0.1", "[::1]"):
        with pytest.raises(UpstreamWrong):
            await watched.check(f"http://{elsewhere}/", None)
    with pytest.raises(NotAllowed):
        await guard("http://127.0.0.2/", "127.0.0.2/32").resolve("localhost", 80)


async def test_files_of_an_internal_networks_mirror_are_fetched_within_it(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    await world.restart(internal_networks="127.0.0.1/32")
    await a_user(world.client, "team")
    await an_index(world.client, "team", "near", type="mirror", mirror_url=world.upstream.url)

    assert (await world.client.get(f"/team/near/{wheel.path}")).body == wheel.content
