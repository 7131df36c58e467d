"""Which addresses requests of one mirror may go to, also by DNS; the rules are `domain.reach`'s."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from stilton.domain.errors import UpstreamWrong
from stilton.domain.proxies import DIRECT, Proxies, is_socks
from stilton.domain.reach import Zone, may_follow, may_reach, zone

_ASK = "other addresses are for those who run this server, see --internal-networks"
_LOOK_UP_S = 2.0
_REMEMBER_S = 60.0
_REMEMBER = 1000


class NotAllowed(OSError):
    """An address that nobody may have us talk to."""


class Guard(AbstractResolver):
    """DNS that gives only addresses the mirror may send us to.

    `networks`: where the mirror and its own proxy may be. The environment's proxies may be anywhere.
    """

    def __init__(self, mirror_url: str, networks: Sequence[str], proxies: Proxies) -> None:
        self._mirror_host = mirror_host = _host(mirror_url)
        self._networks = networks
        own = proxies.own if proxies.own != DIRECT else None
        self._chosen = {mirror_host, _host(own)} if own else {mirror_host}
        self._given = {_host(proxy) for proxy in proxies.by_scheme.values()} - self._chosen
        self._mirror_zone: Zone | None = None
        self._inner: aiohttp.ThreadedResolver | None = None
        self._unknown: dict[str, float] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses to connect to, of an upstream or of a proxy. Raises OSError: NotAllowed when none may be used."""
        found = await self._look_up(host, port, family)
        return found if host in self._given else await self._allowed(host, found)

    async def check(self, url: str, proxy: str | None) -> None:
        """Before a request to `url`, of all that is not asked of `resolve`. Raises UpstreamWrong, NotAllowed.

        A name that a proxy will look up is held to the same rules where this machine knows its address.
        """
        host = _host(url)
        if proxy is not None:
            self._check_proxy(proxy)
        if _is_address(host):
            await self._check_address(host)
        elif (proxy is not None or host in self._given) and not self._is_unknown(host):
            await self._check_name(host)

    async def close(self) -> None:
        """Nothing is held."""

    def _check_proxy(self, proxy: str) -> None:
        host = _host(proxy)
        if host in self._given:
            return
        # A SOCKS connection looks its proxy's name up by itself.
        if is_socks(proxy) and "*" not in self._networks:
            raise UpstreamWrong("a mirror's own SOCKS proxy is for those who run this server")
        if _is_address(host) and not may_reach(host, self._networks):
            raise UpstreamWrong(f"{host} is not a public address: {_ASK}")

    async def _check_address(self, host: str) -> None:
        if host in self._chosen:
            if not may_reach(host, self._networks):
                raise UpstreamWrong(f"{host} is not a public address: {_ASK}")
        elif not await self._leads_to([host]):
            raise UpstreamWrong(f"pages of {self._mirror_host} must not lead to the address {host}")

    async def _check_name(self, host: str) -> None:
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                await self._allowed(host, await self._look_up(host))
        except NotAllowed:
            raise
        except (OSError, TimeoutError):
            self._remember(host)

    async def _allowed(self, host: str, found: list[ResolveResult]) -> list[ResolveResult]:
        """Those of the addresses `found` that may be used. Raises NotAllowed for none."""
        if host in self._chosen:
            allowed = [entry for entry in found if may_reach(entry["host"], self._networks)]
            if not allowed:
                raise NotAllowed(f"{host} is not on a public address: {_ASK}")
            return allowed
        led = await self._leads_to([entry["host"] for entry in found])
        allowed = [entry for entry in found if entry["host"] in led]
        if not allowed:
            raise NotAllowed(f"{host} has an address that pages of {self._mirror_host} must not lead to")
        return allowed

    async def _leads_to(self, addresses: Sequence[str]) -> list[str]:
        """Those that pages and redirects may lead to: no closer than the mirror is, nor where it must not be itself."""
        limit = await self._limit()
        return [one for one in addresses if may_follow(zone(one), limit) and may_reach(one, self._networks)]

    def _is_unknown(self, host: str) -> bool:
        return time.monotonic() < self._unknown.get(host, 0.0)

    def _remember(self, host: str) -> None:
        if len(self._unknown) >= _REMEMBER:
            self._unknown.clear()
        self._unknown[host] = time.monotonic() + _REMEMBER_S

    async def _limit(self) -> Zone:
        if self._mirror_zone is None:
            try:
                addresses = [entry["host"] for entry in await self._look_up(self._mirror_host)]
                zones = [zone(address) for address in addresses]
            except (OSError, ValueError):
                return Zone.GLOBAL  # behind a proxy; be strict
            self._mirror_zone = min(max(zones, default=Zone.GLOBAL), Zone.LOOPBACK)
        return self._mirror_zone

    async def _look_up(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if self._inner is None:
            self._inner = aiohttp.ThreadedResolver()
        try:
            return await self._inner.resolve(host, port, family)
        except UnicodeError as error:
            raise OSError(f"{host} is no name of a host") from error


def _host(url: str) -> str:
    """As the HTTP client reads it, which takes wide digits for an address too. It sends nothing to what is no URL."""
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
