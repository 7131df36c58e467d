"""Connections to others: through which proxy, by whom trusted, to which addresses.

The proxies and authorities are those of the environment, read once.
"""

import contextlib
import functools
import os
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import aiohttp_socks

from stilton import __version__
from stilton.domain.indexes import without_credentials
from stilton.domain.proxies import Proxies, is_listed, is_socks, of_environment
from stilton.domain.redaction import without
from stilton.upstream.guard import Guard

USER_AGENT = f"stilton/{__version__} (py{sys.version_info[0]}.{sys.version_info[1]}; {sys.platform})"
READ_SIZE_BYTES = 1 << 18
MAX_CONNECTIONS = 100
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_WANTS_LOGIN = 407
_SOCKS_ERRORS = (aiohttp_socks.ProxyError, aiohttp_socks.ProxyConnectionError, aiohttp_socks.ProxyTimeoutError)


def known_proxies(own: str | None = None) -> Proxies:
    """The environment's. `own`: a mirror's. Raises SetupError for a variable that names none."""
    found = urllib.request.getproxies()
    # The second: what the system's own settings say, on those systems that have some.
    return Proxies(
        own,
        of_environment(found),
        lambda place: is_listed(place, found.get("no", "")) or bool(urllib.request.proxy_bypass(place)),
    )


class Connections:
    """Sends requests of one mirror or push; each as `guard` and `proxies` say."""

    def __init__(self, guard: Guard, proxies: Proxies) -> None:
        self._guard = guard
        self._proxies = proxies
        self._sessions: dict[str | None, aiohttp.ClientSession] = {}

    async def request(self, method: str, url: str, **how: Any) -> aiohttp.ClientResponse:  # noqa: ANN401 - aiohttp's own
        """Send; redirects are not followed. `how`: as of aiohttp's `request`.

        Raises aiohttp.ClientError, TimeoutError, OSError, UpstreamWrong.
        """
        proxy = self._proxies.of(url)
        await self._guard.check(url, proxy)
        with _told(proxy):
            session, through = (self._session(proxy), None) if proxy and is_socks(proxy) else (self._session(), proxy)
            response = await session.request(method, url, allow_redirects=False, proxy=through, **how)
            if proxy and response.status == _PROXY_WANTS_LOGIN:
                response.close()
                raise aiohttp.ClientConnectionError(f"it wants a login, or another one (error {_PROXY_WANTS_LOGIN})")
        return response

    async def aclose(self) -> None:
        """Drop all connections."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    def _session(self, socks: str | None = None) -> aiohttp.ClientSession:
        if socks not in self._sessions:
            self._sessions[socks] = aiohttp.ClientSession(
                connector=self._connector(socks),
                trust_env=False,  # it would read .netrc from the disk for each request
                auto_decompress=True,
                headers={"User-Agent": USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=READ_SIZE_BYTES,
                max_field_size=64 << 10,
            )
        return self._sessions[socks]

    def _connector(self, socks: str | None) -> aiohttp.TCPConnector:
        if socks is None:
            return aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS, resolver=self._guard, ssl=certificates(), ttl_dns_cache=60
            )
        # The `h` and `a` say who looks names up: here it is always the proxy.
        url = socks.replace("socks5h:", "socks5:", 1).replace("socks4a:", "socks4:", 1)
        return aiohttp_socks.ProxyConnector.from_url(url, limit=MAX_CONNECTIONS, ssl=certificates(), rdns=True)


def words(error: Exception) -> str:
    """What to say of a failed request. aiohttp hides the sentence of our own resolver in `os_error`."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    text = str(inner) if inner is not None and inner.errno is None else str(error)
    return text or type(error).__name__


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


@contextlib.contextmanager
def _told(proxy: str | None) -> Iterator[None]:
    """Errors say which proxy was in between."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError, *_SOCKS_ERRORS) as error:
        if proxy is None:
            raise
        said = without(without_credentials(words(error)), _login(proxy))  # some repeat what they were sent
        text = f"through the proxy {without_credentials(proxy)}: {said}"
        raise aiohttp.ClientConnectionError(text) from error


def _login(proxy: str) -> tuple[str, ...]:
    """What must not be shown of it: as it is sent, read and written."""
    parts = urlsplit(proxy)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    sent = aiohttp.encode_basic_auth(user, password).removeprefix("Basic ")
    return sent, password, parts.password or ""
