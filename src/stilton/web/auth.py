"""Who a request comes from: its credentials, and the address that they came from.

`X-Devpi-Auth` (base64 of `user:secret`) counts before `Authorization`, which is Basic or,
with a login token alone, Bearer. Wrong credentials make nobody of the client, not an error.
"""

import base64
import binascii
from collections.abc import Callable

from stilton import visits
from stilton.accounts.login import TOKEN_USER, Credentials, Login
from stilton.domain.errors import TooManyTries
from stilton.domain.permission import ANYBODY, Actor
from stilton.domain.redaction import Secret
from stilton.web.http import IN_VAIN, Scope, header

MAX_HEADER_CHARS = 8192
_ACTOR = "stilton.actor"


class Auth:
    """`address(scope)`: the client's, as far as it is known."""

    def __init__(self, login: Login, address: Callable[[Scope], str]) -> None:
        self._login = login
        self._address = address

    async def actor(self, scope: Scope) -> Actor:
        """Who asks; found out once per request. Raises TooManyTries, Busy."""
        known = scope.get(_ACTOR)
        if known is None:
            sent = self._credentials(scope)
            known = scope[_ACTOR] = ANYBODY if sent is None else await self._who(sent, scope)
            scope[IN_VAIN] = sent is not None and known.name is None
            visits.is_by(known.name)
        actor: Actor = known
        return actor

    async def _who(self, sent: Credentials, scope: Scope) -> Actor:
        try:
            return await self._login.actor(sent)
        except TooManyTries:
            if scope["method"] in ("GET", "HEAD"):
                return ANYBODY  # an old password keeps nobody from what is public
            raise

    def peer(self, scope: Scope) -> str:
        """The client's address, as far as it is known."""
        return self._address(scope)

    def _credentials(self, scope: Scope) -> Credentials | None:
        devpi = header(scope, b"x-devpi-auth")
        if devpi is not None:
            return self._pair(devpi, scope)
        kind, _, value = (header(scope, b"authorization") or "").partition(" ")
        match kind.lower():
            case "basic":
                return self._pair(value.strip(), scope)
            case "bearer" if len(value) <= MAX_HEADER_CHARS:
                return Credentials(TOKEN_USER, Secret(value.strip()), self.peer(scope))
            case _:
                return None

    def _pair(self, encoded: str, scope: Scope) -> Credentials | None:
        if len(encoded) > MAX_HEADER_CHARS:
            return None
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            # pip and twine send Latin-1 (RFC 7617 §2 leaves it open).
            text = raw.decode("latin-1")
        user, colon, secret = text.partition(":")
        return Credentials(user, Secret(secret), self.peer(scope)) if colon else None
