"""This server's URLs as its clients see them, behind whatever stands in front."""

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from stilton.domain.files import quoted
from stilton.domain.urls import is_base, is_host
from stilton.web.http import Scope, header


class Here:
    """Where this server is, for its clients. `trusts(scope)`: whether the peer may say so."""

    def __init__(self, outside_url: str | None, trusts: Callable[[Scope], bool]) -> None:
        self._outside_url = outside_url
        self._trusts = trusts

    def base(self, scope: Scope) -> str:
        """Absolute URL of `/`, without slash."""
        return base_url(scope, self._outside_url, trusted=self._trusts(scope))

    def mount(self, scope: Scope) -> str:
        """The path that `/` has outside; usually empty."""
        return mount(scope, self._outside_url, trusted=self._trusts(scope))


def base_url(scope: Scope, outside_url: str | None, *, trusted: bool) -> str:
    """Absolute URL of `/`, without slash. `X-Outside-Url` counts only from a trusted peer."""
    outside = outside_of(scope, outside_url, trusted=trusted)
    if outside is not None:
        return outside
    scheme = scope.get("scheme", "http")
    host = header(scope, b"host") or "localhost"
    if not is_host(host):
        host = "localhost"
    return f"{scheme}://{host}"


def mount(scope: Scope, outside_url: str | None, *, trusted: bool) -> str:
    """The path that this server's `/` has outside; usually empty."""
    outside = outside_of(scope, outside_url, trusted=trusted)
    return urlsplit(outside).path.rstrip("/") if outside else ""


def outside_of(scope: Scope, outside_url: str | None, *, trusted: bool) -> str | None:
    """The configured outside URL, or the one a trusted proxy says; None when there is neither."""
    said = header(scope, b"x-outside-url") if trusted else None
    for url in (said, outside_url):
        if url and is_base(url):
            return url.rstrip("/")
    return None


def path_to(*segments: str) -> str:
    """An absolute path from decoded segments; always on this host (`//` never begins it)."""
    return "/" + "/".join(quoted(segment).replace("/", "%2F") for segment in segments)


def is_trusted(address: str | None, proxies: tuple[str, ...]) -> bool:
    """Whether the peer may speak for others: this machine, a unix socket, or a listed network."""
    if not address:
        return True  # a unix socket has no address
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.is_loopback or "*" in proxies:
        return True
    return any(ip in ipaddress.ip_network(proxy, strict=False) for proxy in proxies if proxy != "*")
