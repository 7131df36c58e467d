"""Users: shown, created, changed, removed."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from stilton.accounts.login import MAX_SECRET_CHARS, TOKEN_PREFIX, Login
from stilton.accounts.setup import checked_hash, instant
from stilton.db import accounts, audit, stages
from stilton.db.database import Database, Transaction
from stilton.domain import profiles
from stilton.domain.audit import Event
from stilton.domain.errors import Conflict, Denied, Invalid, SetupError, UserNotFound
from stilton.domain.indexes import Index
from stilton.domain.names import check_account_name
from stilton.domain.permission import Actor, Policy, Right
from stilton.domain.redaction import Secret

log = logging.getLogger(__name__)

_SETTABLE = profiles.KEYS | {"password", "pwhash"}
# What clients send back as they got it.
_IGNORED = frozenset({"username", "indexes", "created", "modified"})


class Users:
    """Users of this server. Every change says first who asks."""

    def __init__(self, db: Database, login: Login, policy: Policy, now: Callable[[], float]) -> None:
        self._db = db
        self._login = login
        self._policy = policy
        self._now = now

    async def all(self, actor: Actor) -> list[tuple[dict[str, Any], list[Index]]]:
        """Every user's keys, and those of his indexes that `actor` may read."""
        users, indexes = await self._db.read(_everything)
        readable = [index for index in indexes if self._policy.may(actor, Right.READ, index)]
        return [(keys, [i for i in readable if i.user == keys["username"]]) for keys in users]

    async def one(self, actor: Actor, user: str) -> tuple[dict[str, Any], list[Index]]:
        """A user's keys, and those of his indexes that `actor` may read. Raises UserNotFound."""
        keys = await self._db.read(accounts.user_keys, user)
        if keys is None:
            raise UserNotFound(user)
        indexes = await self._db.read(accounts.indexes_of, user)
        return keys, [index for index in indexes if self._policy.may(actor, Right.READ, index)]

    def exists(self, user: str) -> bool:
        """Whether there is such a user."""
        return self._db.glance(accounts.pwhash, user) is not None

    async def create(self, actor: Actor, user: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Make a user; his keys. Raises Denied, Invalid, Conflict."""
        if not self._policy.may_user(actor, Right.CREATE_USER, user):
            raise Denied(f"no permission to create user {user}", login=actor.name is None)
        if self.exists(user):
            raise Conflict("user already exists")
        check_account_name("username", user)
        keys = _checked(given)
        if "password" not in given:
            raise Invalid("password needs to be set")
        pwhash = self._given_hash(actor, given) or await self._login.hash(_password(given))
        keys = {**{k: v for k, v in keys.items() if v}, "created": instant(self._now())}
        await self._db.record(audit.noting(Event("user.create", user), _create), user, pwhash, keys)
        log.info("%s created user %s", actor.name or "somebody", user)
        return {"username": user, **keys}

    async def modify(self, actor: Actor, user: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is given, drop what is given empty; the new keys.

        Raises Denied, UserNotFound, Invalid.
        """
        # devpi's client sends everything back that it was shown.
        shown = self._db.glance(accounts.user_keys, user) or {}
        given = {k: v for k, v in given.items() if k not in _IGNORED and (k not in shown or v != shown[k])}
        right = Right.CHANGE_PASSWORD if set(given) == {"password"} else Right.MODIFY_USER
        if not self._policy.may_user(actor, right, user):
            what = "change password for" if right is Right.CHANGE_PASSWORD else "modify"
            raise Denied(f"no permission to {what} user {user}", login=actor.name is None)
        if not self.exists(user):
            raise UserNotFound(user)
        keys = _checked(given)
        pwhash = self._given_hash(actor, given)
        if pwhash is None and "password" in given:
            pwhash = await self._login.hash(_password(given))
        log.info("%s changes %s of user %s", actor.name, ", ".join(sorted(given)) or "nothing", user)
        return await self._db.record(_modify, user, pwhash, keys, instant(self._now()))

    def _given_hash(self, actor: Actor, given: Mapping[str, Any]) -> str | None:
        """A hash that was made elsewhere; None when none is given. For those who run this server."""
        pwhash = given.get("pwhash")
        if pwhash is None:
            return None
        if actor.name is None or not self._policy.is_admin(actor.name):
            raise Denied("pwhash is for those who run this server; set a password", login=actor.name is None)
        try:
            return checked_hash(str(pwhash))
        except SetupError as error:
            raise Invalid(f"pwhash: {error}") from None

    async def delete(self, actor: Actor, user: str) -> None:
        """Remove a user with all his indexes. Raises Denied, UserNotFound."""
        if not self._policy.may_user(actor, Right.DELETE_USER, user):
            raise Denied(f"no permission to delete user {user}", login=actor.name is None)
        if not self.exists(user):
            raise UserNotFound(user)
        await self._db.record(_delete, user)
        log.info("%s removed user %s", actor.name, user)


def _without(index: Index, user: str) -> Index:
    """`index` with `user` named in none of its lists of principals."""
    lists = {key: value for key, value in index.keys.items() if key.startswith("acl_") and user in value}
    return Index(index.user, index.name, {**index.keys, **{k: [n for n in v if n != user] for k, v in lists.items()}})


def _everything(connection: Any) -> tuple[list[dict[str, Any]], list[Index]]:  # noqa: ANN401 - a tool's type
    return accounts.all_users(connection), accounts.all_indexes(connection)


def _create(tx: Transaction, user: str, pwhash: str, keys: dict[str, Any]) -> None:
    if accounts.pwhash(tx.sql, user) is not None:
        raise Conflict("user already exists")
    accounts.put_user(tx, user, pwhash, keys)


def _modify(tx: Transaction, user: str, pwhash: str | None, given: dict[str, Any], now: str) -> dict[str, Any]:
    old = accounts.pwhash(tx.sql, user)
    keys = accounts.user_keys(tx.sql, user)
    if old is None or keys is None:
        raise UserNotFound(user)
    del keys["username"]
    changed = sorted(key for key in given if (given[key] or None) != keys.get(key))
    keys = {k: v for k, v in {**keys, **given, "modified": now}.items() if v}
    accounts.put_user(tx, user, pwhash or old, keys)
    if changed:
        audit.note(tx, Event("user.modify", user, {"keys": changed}))
    if pwhash is not None:
        audit.note(tx, Event("user.password", user))
    return {"username": user, **keys}


def _delete(tx: Transaction, user: str) -> None:
    indexes = accounts.indexes_of(tx.sql, user)
    kept = next((index.name for index in indexes if not index.is_volatile), None)
    if kept is not None:
        raise Denied(f"user {user!r} has non-volatile index: {kept}")
    for index in indexes:
        stages.drop_index(tx, index.full_name)
        accounts.drop_index(tx, index)
    accounts.drop_user(tx, user)
    # Whoever takes the name next has no rights by it.
    named = [index for index in accounts.all_indexes(tx.sql) if _without(index, user) != index]
    for index in named:
        accounts.put_index(tx, _without(index, user))
    gone, cleared = [index.full_name for index in indexes], [index.full_name for index in named]
    audit.note(tx, Event("user.delete", user, {"indexes": gone, "no_longer_named_by": cleared}))


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be stored of `given`, without the password. Raises Invalid."""
    unknown = sorted(set(given) - _SETTABLE - _IGNORED)
    if unknown:
        raise Invalid(f"Unknown keys in user config: {', '.join(unknown)}")
    return profiles.checked(given)


def _password(given: Mapping[str, Any]) -> Secret:
    password = given["password"]
    if not isinstance(password, str):
        raise Invalid("password is no text")
    if password.startswith(TOKEN_PREFIX) or len(password) > MAX_SECRET_CHARS:
        raise Invalid(f"a password has at most {MAX_SECRET_CHARS} characters and does not begin with {TOKEN_PREFIX}")
    return Secret(password)
