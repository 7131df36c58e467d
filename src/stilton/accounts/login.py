"""Who asks: passwords and tokens turned into actors.

A login gives a token for ten hours. It names the user and carries a mark of the
password's hash, so it dies with a changed password or a removed user. Passwords sent
with every request are checked once and remembered for a while; wrong ones are, too, and
after a few of them from one place that place has to wait.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable

import msgspec
from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

from stilton import visits
from stilton.accounts.passwords import Bench, is_outdated
from stilton.db import accounts, audit
from stilton.db.database import Database, Transaction
from stilton.domain.audit import UNKNOWN_USER, Event
from stilton.domain.errors import Damaged, Denied, StorageTrouble, TooManyTries
from stilton.domain.names import MAX_ACCOUNT_CHARS
from stilton.domain.permission import ANYBODY, Actor
from stilton.domain.redaction import Secret
from stilton.flights import Flights
from stilton.lru import Lru

log = logging.getLogger(__name__)

TOKEN_LIFE_S = 36_000
LEEWAY_S = 30
"""The clock of another server that signed a token may be ahead by so much."""
REMEMBERED_S = 300.0
"""A right password is not checked again for so long; a changed one counts at once all the same."""
WRONG_REMEMBERED_S = 60.0
REMEMBERED = 10_000
FREE_TRIES = 8
"""Wrong passwords for one user from one address before there is a wait, which doubles up to a minute."""
LONGEST_WAIT_S = 60.0
FAILURES_A_MINUTE = 100
"""So many wrong passwords of different users and addresses are in the audit log, by each worker."""
TOKEN_USER = "__token__"  # noqa: S105 - a name, not a secret
TOKEN_PREFIX = "stilton-login-"  # noqa: S105 - what every token begins with, for people and secret scanners
MAX_SECRET_CHARS = 4096


class Credentials(msgspec.Struct, frozen=True):
    """As a client sent them. `user` is `__token__` when only a token came. `peer`: its address."""

    user: str
    secret: Secret
    peer: str


class Login:
    """Checks credentials. `secret`: what signs tokens; every worker and replica has the same."""

    def __init__(self, db: Database, secret: bytes, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(now())

        class Verifier(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(now()) + LEEWAY_S

        key = hmac.digest(secret, b"stilton login token", "sha256")
        self._serializer = URLSafeTimedSerializer(key, salt="login", signer=Signer)
        self._verifier = URLSafeTimedSerializer(key, salt="login", signer=Verifier)
        self._bench = Bench()
        # Keys of both are digests with a secret of this process: no password is kept anywhere.
        self._pepper = secrets.token_bytes(32)
        self._right: Lru[bytes, float] = Lru(REMEMBERED)
        self._wrong: Lru[bytes, float] = Lru(REMEMBERED)
        self._checks: Flights[bytes, bool] = Flights()
        self._tries: Lru[tuple[str, str], tuple[int, float]] = Lru(REMEMBERED)
        self._failures: tuple[int, set[tuple[str, str]]] = (0, set())

    async def actor(self, credentials: Credentials | None) -> Actor:
        """Who that is; anybody when the credentials are wrong, as devpi does. Raises TooManyTries, Busy."""
        if credentials is None or len(credentials.secret) > MAX_SECRET_CHARS:
            return ANYBODY
        if len(credentials.user) > MAX_ACCOUNT_CHARS:
            return ANYBODY
        if (sent := credentials.secret.reveal()).startswith(TOKEN_PREFIX):
            # One that expired is no wrong password: nobody is made to wait for it.
            owner = self.owner(sent)
            return Actor(owner) if owner is not None and credentials.user in (owner, TOKEN_USER) else ANYBODY
        if await self._is_password(credentials):
            return Actor(credentials.user)
        return ANYBODY

    async def token(self, credentials: Credentials) -> str:
        """A new token for the right password. Raises Denied, TooManyTries, Busy."""
        user = credentials.user
        if len(user) > MAX_ACCOUNT_CHARS:
            raise Denied("a user of such a name could not be authenticated", login=True)
        if len(credentials.secret) > MAX_SECRET_CHARS or not await self._is_password(credentials):
            raise Denied(f"user {user!r} could not be authenticated", login=True)
        pwhash = self._db.glance(accounts.pwhash, user)
        assert pwhash is not None
        if is_outdated(pwhash):
            fresh = await self._bench.hash(credentials.secret.reveal())
            await self._db.record(_replace_hash, user, pwhash, fresh)
        visits.is_by(user)
        await self._note(Event("login", user))
        return self.new_token(user)

    def new_token(self, user: str) -> str:
        """A token for a user who proved who he is."""
        pwhash = self._db.glance(accounts.pwhash, user)
        assert pwhash is not None
        return TOKEN_PREFIX + str(self._serializer.dumps([user, _mark(pwhash)]))

    def owner(self, token: str) -> str | None:
        """Whose token that is; None when it is none, or not any more."""
        try:
            user, mark = self._verifier.loads(token.removeprefix(TOKEN_PREFIX), max_age=TOKEN_LIFE_S + LEEWAY_S)
        except (BadSignature, ValueError, TypeError):
            return None
        pwhash = self._db.glance(accounts.pwhash, user)
        return user if pwhash is not None and hmac.compare_digest(mark, _mark(pwhash)) else None

    async def has_empty_password(self, user: str) -> bool:
        """Whether anybody could log in as `user`. Raises Busy."""
        pwhash = self._db.glance(accounts.pwhash, user)
        return pwhash is not None and await self._bench.check(pwhash, "")

    async def hash(self, password: Secret) -> str:
        """The hash to store. Raises Busy."""
        return await self._bench.hash(password.reveal())

    def close(self) -> None:
        """Let the thread end."""
        self._bench.close()

    async def _is_password(self, credentials: Credentials) -> bool:
        user, secret = credentials.user, credentials.secret.reveal()
        pwhash = self._db.glance(accounts.pwhash, user)
        key = hmac.digest(self._pepper, f"{user}\0{secret}\0{pwhash}".encode("utf-8", "surrogatepass"), "sha256")
        now = self._now()
        if (self._right.get(key) or 0.0) > now:
            self._tries.pop((user, credentials.peer))
            return True
        self._check_tries(user, credentials.peer)
        if (self._wrong.get(key) or 0.0) > now:
            # The same again is no new guess: an old password in some job locks nobody out.
            await self._note_failure(user, credentials.peer)
            return False
        # A farm of clients that begin at once with one password is one check.
        if await self._checks.join(key, lambda: self._bench.check(pwhash, secret)):
            self._right.put(key, now + REMEMBERED_S)
            self._tries.pop((user, credentials.peer))
            return True
        self._wrong.put(key, now + WRONG_REMEMBERED_S)
        self._count(user, credentials.peer)
        await self._note_failure(user, credentials.peer)
        return False

    def _check_tries(self, user: str, peer: str) -> None:
        count, until = self._tries.get((user, peer)) or (0, 0.0)
        wait_s = until - self._now()
        # Nobody waits for a clock that was set back to come where it was.
        if count >= FREE_TRIES and 0 < wait_s <= LONGEST_WAIT_S:
            raise TooManyTries(user, wait_s)

    def _count(self, user: str, peer: str) -> None:
        count = (self._tries.get((user, peer)) or (0, 0.0))[0] + 1
        if count == FREE_TRIES:
            name = self._known(user)
            log.warning("%d wrong passwords for user %s from %s: its next tries have to wait", count, name, peer)
        wait_s = min(LONGEST_WAIT_S, 2.0 ** (count - FREE_TRIES)) if count >= FREE_TRIES else 0.0
        self._tries.put((user, peer), (count, self._now() + wait_s))

    async def _note_failure(self, user: str, peer: str) -> None:
        """Once a minute for a user and an address: who tries them all fills no disk."""
        user = self._known(user)
        minute = int(self._now() // 60)
        if self._failures[0] != minute:
            self._failures = (minute, set())
        noted = self._failures[1]
        if (user, peer) not in noted and len(noted) < FAILURES_A_MINUTE:
            noted.add((user, peer))
            await self._note(Event("login.failed", user))

    def _known(self, user: str) -> str:
        """The name of a user, as it may be written down."""
        return user if self._db.glance(accounts.pwhash, user) is not None else UNKNOWN_USER

    async def _note(self, event: Event) -> None:
        """Nobody is kept out by a full disk: he may be the one who can make room."""
        try:
            await self._db.write(audit.note, event)
        except (StorageTrouble, Damaged) as trouble:
            log.error("%s of user %r is not in the audit log: %s", event.action, event.target, trouble)  # noqa: TRY400


def _mark(pwhash: str) -> str:
    return hashlib.sha256(pwhash.encode()).hexdigest()[:16]


def _replace_hash(tx: Transaction, user: str, old: str, new: str) -> None:
    """Unless somebody changed the password meanwhile."""
    keys = accounts.user_keys(tx.sql, user)
    if keys is not None and accounts.pwhash(tx.sql, user) == old:
        accounts.put_user(tx, user, new, {key: value for key, value in keys.items() if key != "username"})
