"""HTTP to one upstream: time-outs, redirects, proxies, certificates, credentials.

Rules: credentials go to the origin they were given for and nowhere else; a page
or redirect cannot send us to an address closer than the mirror itself
(`domain.reach`), also not by DNS; nothing in an error or log carries a secret.
"""

import contextlib
import logging
import netrc
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp

from stilton import visits
from stilton.domain.errors import UpstreamUnavailable, UpstreamWrong
from stilton.domain.indexes import MirrorConfig, without_credentials
from stilton.domain.redaction import Secret
from stilton.upstream.connections import Connections, known_proxies, words
from stilton.upstream.guard import Guard

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Network:
    """The client over the network."""

    def __init__(self, mirror: MirrorConfig, *, connect_timeout_s: float) -> None:
        parts = urlsplit(mirror.url)
        self._shown = without_credentials(mirror.url)
        self._origin = (parts.scheme, parts.hostname, parts.port)
        self._credentials = (
            Secret(aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or "")))
            if parts.username
            else None
        )
        self._connect_timeout_s = connect_timeout_s
        # It is of who runs this server: others could have its logins sent by a proxy of their own, or use them.
        self._netrc = _netrc() if "*" in mirror.networks else None
        proxies = known_proxies(mirror.proxy)
        self._connections = Connections(Guard(mirror.url, mirror.networks, proxies), proxies)

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
        await self._connections.aclose()

    async def _follow(
        self, method: str, url: str, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = await self._connections.request(
                    method, _without(url), headers=self._headers(url, headers), timeout=timeout
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._unavailable(error) from error
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            url = _next(str(response.url), response.headers["Location"])
        raise UpstreamWrong(f"{self._shown} redirects more than {MAX_REDIRECTS} times")

    def _unavailable(self, error: Exception) -> UpstreamUnavailable:
        return UpstreamUnavailable(self._shown, without_credentials(words(error)))

    def _headers(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        parts = urlsplit(url)
        if self._credentials and (parts.scheme, parts.hostname, parts.port) == self._origin:
            return {**headers, "Authorization": self._credentials.reveal()}
        known = self._netrc.authenticators(parts.hostname) if self._netrc and parts.hostname else None
        if known:
            return {**headers, "Authorization": aiohttp.encode_basic_auth(known[0], known[2] or "")}
        return dict(headers)


def _netrc() -> netrc.netrc | None:
    """Read once: `NETRC` or ~/.netrc. One that cannot be read is as none."""
    path = os.environ.get("NETRC") or "~/.netrc"
    try:
        return netrc.netrc(Path(path).expanduser())
    except (FileNotFoundError, RuntimeError):  # none, or nobody's home
        return None
    except (OSError, netrc.NetrcParseError) as error:
        log.warning("%s is not used: %s", path, type(error).__name__)
        return None


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
