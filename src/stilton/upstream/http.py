"""HTTP to one upstream: time-outs, redirects, proxies, certificates, credentials.

Rules: credentials go to the origin they were given for and nowhere else; a page
or redirect cannot send us to an address closer than the mirror itself
(`domain.reach`), also not by DNS; nothing in an error or log carries a secret.
"""

import contextlib
import functools
import ipaddress
import logging
import netrc
import os
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from stilton import __version__, visits
from stilton.domain.errors import UpstreamUnavailable, UpstreamWrong
from stilton.domain.indexes import without_credentials
from stilton.domain.reach import Zone, may_follow, may_reach, zone
from stilton.domain.redaction import Secret

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
MAX_CONNECTIONS = 100
READ_SIZE_BYTES = 1 << 18
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ASK = "other addresses are for those who run this server, see --internal-networks"
USER_AGENT = f"stilton/{__version__} (py{sys.version_info[0]}.{sys.version_info[1]}; {sys.platform})"


class Network:
    """The client over the network. `networks`: where the mirror itself may be (`domain.reach.may_reach`)."""

    def __init__(self, mirror_url: str, *, connect_timeout_s: float, networks: Sequence[str] = ("*",)) -> None:
        parts = urlsplit(mirror_url)
        self._shown = without_credentials(mirror_url)
        self._origin = (parts.scheme, parts.hostname, parts.port)
        self._host = parts.hostname or ""
        self._credentials = (
            Secret(aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or "")))
            if parts.username
            else None
        )
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._proxies = urllib.request.getproxies()
        self._netrc = _netrc()
        self._guard = GuardedResolver(self._host, networks)

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, url: str, headers: Mapping[str, str], *, read_timeout_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send, follow redirects, give the answer of any status with its body unread.

        Raises UpstreamUnavailable when there is none, UpstreamWrong when following
        it would break a rule above. `read_timeout_s`: between two pieces of it.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s, sock_read=read_timeout_s)
        began = time.perf_counter()
        try:
            response = await self._follow(method, url, headers, timeout)
        finally:
            visits.waited(time.perf_counter() - began)
        try:
            async with response:
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Drop all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _follow(
        self, method: str, url: str, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                await self._guard.check_literal(urlsplit(url).hostname or "")
                response = await self._open().request(
                    method, _without(url), headers=self._headers(url, headers), timeout=timeout,
                    allow_redirects=False, proxy=proxy_for(url, self._proxies),
                )  # fmt: skip
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._unavailable(error) from error
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            url = _next(str(response.url), response.headers["Location"])
        raise UpstreamWrong(f"{self._shown} redirects more than {MAX_REDIRECTS} times")

    def _unavailable(self, error: Exception) -> UpstreamUnavailable:
        return UpstreamUnavailable(self._shown, without_credentials(words(error)))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS, resolver=self._guard, ssl=certificates(), ttl_dns_cache=60
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,  # it would read .netrc from the disk for each request
                auto_decompress=True,
                headers={"User-Agent": USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=READ_SIZE_BYTES,
                max_field_size=64 << 10,
            )
        return self._session

    def _headers(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        parts = urlsplit(url)
        if self._credentials and (parts.scheme, parts.hostname, parts.port) == self._origin:
            return {**headers, "Authorization": self._credentials.reveal()}
        known = self._netrc.authenticators(parts.hostname) if self._netrc and parts.hostname else None
        if known:
            return {**headers, "Authorization": aiohttp.encode_basic_auth(known[0], known[2] or "")}
        return dict(headers)


class GuardedResolver(AbstractResolver):
    """DNS that gives only addresses the mirror may send us to."""

    def __init__(self, mirror_host: str, networks: Sequence[str] = ("*",)) -> None:
        self._mirror_host = mirror_host
        self._networks = networks
        self._mirror_zone: Zone | None = None
        self._inner: aiohttp.ThreadedResolver | None = None
        # With a proxy it is the proxy's name that is looked up here.
        proxies = {urlsplit(proxy).hostname for proxy in urllib.request.getproxies().values()}
        self._always = {mirror_host, *proxies}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host`. Raises OSError when none may be used."""
        found = await self._look_up(host, port, family)
        if host == self._mirror_host:
            found = [entry for entry in found if may_reach(entry["host"], self._networks)]
            if not found:
                raise OSError(f"{host} is not on a public address: {_ASK}")
            return found
        if host in self._always:
            return found
        limit = await self._limit()
        allowed = [entry for entry in found if may_follow(zone(entry["host"]), limit)]
        if not allowed:
            raise OSError(f"{host} has an address that pages of {self._mirror_host} must not lead to")
        return allowed

    async def check_literal(self, host: str) -> None:
        """Addresses written as such never reach `resolve`. Raises UpstreamWrong."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return
        if host == self._mirror_host and not may_reach(host, self._networks):
            raise UpstreamWrong(f"{host} is not a public address: {_ASK}")
        if host not in self._always and not may_follow(zone(host), await self._limit()):
            raise UpstreamWrong(f"pages of {self._mirror_host} must not lead to the address {host}")

    async def close(self) -> None:
        """Nothing is held."""

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
        return await self._inner.resolve(host, port, family)


def words(error: Exception) -> str:
    """What to say of a failed request. aiohttp hides the sentence of our own resolver in `os_error`."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    text = str(inner) if inner is not None and inner.errno is None else str(error)
    return text or type(error).__name__


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The one of `proxies` (by scheme) for this URL, unless NO_PROXY names its host."""
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme)
    return None if not proxy or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]) else proxy


def _netrc() -> netrc.netrc | None:
    """Read once: `NETRC` or ~/.netrc. One that cannot be read is as none."""
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        return netrc.netrc(path)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        log.warning("%s is not used: %s", path, type(error).__name__)
        return None


def certificates() -> ssl.SSLContext:
    """Trusted authorities: the system's, and those of the variables that other tools read. As of the first call."""
    paths = filter(None, map(os.environ.get, _CA_VARIABLES))
    return _trusting(tuple(dict.fromkeys(path for path in paths if os.path.isfile(path))))  # noqa: PTH113 - a plain question


@functools.cache
def _trusting(bundles: tuple[str, ...]) -> ssl.SSLContext:
    """Reading the system's authorities takes 20 ms: for all mirrors once."""
    context = ssl.create_default_context()
    for path in bundles:
        context.load_verify_locations(cafile=path)
    return context


def _next(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        before, after = urlsplit(url), urlsplit(target)
    except ValueError:
        raise UpstreamWrong(f"{without_credentials(url)} redirects to what is no URL") from None
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise UpstreamWrong(f"{without_credentials(url)} redirects to a URL that is not followed")
    return target


def _without(url: str) -> str:
    """`url` without credentials: they travel in a header of our own making."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
