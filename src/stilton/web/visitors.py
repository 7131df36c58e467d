"""Who comes in: an address and an id for each request, said by a trusted proxy in front or found here."""

import random
import re
from ipaddress import ip_address
from operator import itemgetter

from stilton.lru import Lru
from stilton.visits import Visit
from stilton.web.http import Scope
from stilton.web.urls import is_trusted

MAX_HOPS = 20
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{3,63}")
_name = itemgetter(0)
_TELLING = frozenset({b"x-request-id", b"x-real-ip", b"x-forwarded-for"})


class Visitors:
    """`proxies`: addresses and networks that may speak for others (`--trusted-proxy`); this machine always may."""

    def __init__(self, proxies: tuple[str, ...]) -> None:
        self._proxies = proxies
        self._known: Lru[str, bool] = Lru(1000)

    def trusts(self, scope: Scope) -> bool:
        """Whether the peer may say where the request comes from."""
        return self._is_trusted(peer(scope.get("client")))

    def address(self, scope: Scope) -> str:
        """The client's address, as far as it is known; empty on a unix socket."""
        return self.told(scope.get("client"), scope["headers"])[1]

    def visit(self, scope: Scope) -> Visit:
        """A new visit; eight hexadecimal digits are its id, unless the proxy gave it one."""
        said, address = self.told(scope.get("client"), scope["headers"])
        # To be told apart, not to be guessed.
        return Visit(said or f"{random.getrandbits(32):08x}", address)

    def told(self, client: tuple[str, int] | None, headers: list[tuple[bytes, bytes]]) -> tuple[str | None, str]:
        """(id of the request as the proxy says, the client's address)."""
        address = peer(client)
        if not tell(headers) or not self._is_trusted(address):
            return None, address
        said = {name: value.decode("latin-1") for name, value in headers if name in _TELLING}
        given = said.get(b"x-request-id", "")
        return given if _SANE_ID.fullmatch(given) else None, self._said(said) or address

    def _said(self, said: dict[bytes, str]) -> str | None:
        """X-Real-IP, else the last address of X-Forwarded-For that is no proxy of ours."""
        real = said.get(b"x-real-ip", "").strip()
        if _is_address(real):
            return real
        hops = [hop.strip() for hop in said.get(b"x-forwarded-for", "").split(",")[-MAX_HOPS:]]
        for hop in reversed(hops):
            if not _is_address(hop):
                return None  # before this one anything may have been written
            if not self._is_trusted(hop):
                return hop
        return hops[0] or None

    def _is_trusted(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            known = is_trusted(address or None, self._proxies)
            self._known.put(address, known)
        return known


def tell(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether there is anything about the request's origin in its headers."""
    return not _TELLING.isdisjoint(map(_name, headers))


def peer(client: tuple[str, int] | None) -> str:
    """The address that the connection comes from; empty on a unix socket."""
    return str(client[0]) if client else ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
