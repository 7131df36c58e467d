"""Proxies between this server and others: how one is written, and which one a request takes.

The environment's are those that curl and pip read: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
A mirror's own, `mirror_proxy`, comes before them, also for hosts of NO_PROXY; `direct` is none at all.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import msgspec

from stilton.domain.errors import SetupError
from stilton.domain.redaction import without_secrets

DIRECT = "direct"
_SOCKS = ("socks5", "socks5h", "socks4", "socks4a")
_SCHEMES = ("http", "https", *_SOCKS)
_SOCKS_PORT = 1080
_READ = ("http", "https", "all")
_PORTS = {"http": 80, "https": 443}


class Proxies(msgspec.Struct, frozen=True):
    """What is known about proxies. `own`: a mirror's. `by_scheme`: the environment's, `all` for the rest.

    `is_excepted(place)`: whether the environment says to go there without; `place` is a host with its port.
    """

    own: str | None
    by_scheme: Mapping[str, str]
    is_excepted: Callable[[str], bool]

    def of(self, url: str) -> str | None:
        """The one that a request to `url` takes."""
        if self.own is not None:
            return None if self.own == DIRECT else self.own
        parts = urlsplit(url)
        found = self.by_scheme.get(parts.scheme) or self.by_scheme.get("all")
        place = parts.netloc.rpartition("@")[2]
        if parts.port is None:
            place = f"{place.rstrip(':')}:{_PORTS.get(parts.scheme, 0)}"
        return None if not found or self.is_excepted(place) else found


def proxy(text: str, what: str, instead: str = "") -> str:
    """A proxy as a URL; without a scheme it is http. Raises SetupError that does not repeat a login.

    `what` it is and what may be said `instead`: for the sentence.
    """
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.path in ("", "/") and not parts.query and (parts.port or 1) > 0
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in _SCHEMES or not url.isprintable() or " " in url or "\\" in url:
        forms = " ".join(filter(None, ("http://HOST:PORT, https://… or socks5://…", instead)))
        raise SetupError(f"{what} is {without_secrets(text)!r}: it takes {forms}")
    return f"{url.rstrip('/')}:{_SOCKS_PORT}" if is_socks(url) and parts.port is None else url


def of_environment(found: Mapping[str, str]) -> dict[str, str]:
    """Those that count of what the variables say, by the scheme they are for. Raises SetupError."""
    return {scheme: proxy(found[scheme], f"{scheme.upper()}_PROXY") for scheme in _READ if found.get(scheme)}


def is_listed(place: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names `place`, a host with its port.

    Its entries, between commas or blanks, as curl and pip have them:
    `*` · a domain, with or without a dot before it: that and all below · an address · a network (10.0.0.0/8);
    with a port (`host:8080`, `[::1]:8080`) that one only.
    """
    parts = urlsplit(f"//{place}")
    host = (parts.hostname or "").rstrip(".")
    return any(_fits(entry, host, parts.port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _fits(entry: str, host: str, port: int | None) -> bool:
    before, _, digits = entry.rpartition(":")
    if before and digits.isdecimal() and (":" not in before or before.endswith("]")):
        if int(digits) != port:
            return False
        entry = before
    name = entry.strip("[].")
    try:
        return ip_address(host) in ip_network(name, strict=False)
    except ValueError:
        return name == "*" or (bool(name) and f".{host}".endswith(f".{name}"))


def is_socks(proxy: str) -> bool:
    """Whether it speaks SOCKS, not HTTP."""
    return urlsplit(proxy).scheme in _SOCKS
