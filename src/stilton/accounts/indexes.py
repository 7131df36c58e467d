"""Indexes: created, configured, removed. How they are read: `catalog.indexes`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stilton.db import accounts, audit, mirrors, stages
from stilton.db.database import Database, Transaction
from stilton.domain import configuration
from stilton.domain.audit import Event, difference
from stilton.domain.errors import Conflict, Denied, IndexNotFound, Invalid, UserNotFound
from stilton.domain.indexes import WITH_LOGIN, Index, public_keys, without_credentials
from stilton.domain.keytypes import Exists
from stilton.domain.names import IndexName, check_account_name
from stilton.domain.permission import Actor, Policy, Right
from stilton.domain.proxies import DIRECT

log = logging.getLogger(__name__)

Change = Callable[[Mapping[str, Any], Exists], dict[str, Any]]


class IndexAdmin:
    """Changes the configuration of indexes. Every change says first who asks."""

    def __init__(self, db: Database, policy: Policy) -> None:
        self._db = db
        self._policy = policy

    async def create(self, actor: Actor, user: str, name: str, given: Mapping[str, Any]) -> Index:
        """Make an index of `user`. Raises Denied, UserNotFound, Conflict, Invalid."""
        full_name = f"{user}/{name}"
        if not self._policy.may_user(actor, Right.CREATE_INDEX, user):
            raise Denied(f"no permission to create index {full_name}", login=actor.name is None)
        check_account_name("indexname", name)
        index = await self._db.record(self._create, actor, user, name, given)
        log.info("%s created index %s", actor.name, full_name)
        return index

    async def modify(
        self, actor: Actor, user: str, name: str, change: Mapping[str, Any] | Sequence[object], *, error_on_noop: bool
    ) -> Index:
        """Set keys, or carry out a list of operations (`domain.configuration`). All of them or none.

        Raises IndexNotFound, Denied, Invalid.
        """
        index = await self._db.record(self._modify, actor, user, name, change, error_on_noop=error_on_noop)
        log.info("%s changed index %s", actor.name, index.full_name)
        return index

    async def delete(self, actor: Actor, user: str, name: str) -> None:
        """Remove an index with all that is on it. Raises IndexNotFound, Denied."""
        await self._db.record(self._delete, actor, user, name)
        log.info("%s removed index %s/%s", actor.name, user, name)

    def _create(self, tx: Transaction, actor: Actor, user: str, name: str, given: Mapping[str, Any]) -> Index:
        if accounts.pwhash(tx.sql, user) is None:
            raise UserNotFound(user)
        if accounts.index(tx.sql, user, name) is not None:
            raise Conflict(f"index '{user}/{name}' exists")
        keys = configuration.created(user, given, self._may_be_base(tx, actor, IndexName(f"{user}/{name}")))
        index = Index(user, name, keys)
        accounts.put_index(tx, index)
        audit.note(tx, Event("index.create", index.full_name, {"keys": public_keys(index)}))
        return index

    def _modify(
        self,
        tx: Transaction,
        actor: Actor,
        user: str,
        name: str,
        change: Mapping[str, Any] | Sequence[object],
        *,
        error_on_noop: bool,
    ) -> Index:
        index = self._checked(tx, actor, Right.MODIFY_INDEX, user, name)
        exists = self._may_be_base(tx, actor, index.full_name, known=index.bases)
        if isinstance(change, Mapping):
            keys = configuration.updated(index.keys, _with_secret(index, change), exists)
        else:
            keys = configuration.patched(index.keys, change, exists)
        if keys == index.keys:
            if error_on_noop:
                raise Invalid("The requested modifications resulted in no changes")
            return index
        changed = Index(user, name, keys)
        if (
            _shows_login(index, changed)
            and not _says_login(index, change)
            and not self._policy.is_admin(actor.name or "")
        ):
            raise Invalid("the new proxy would see the login in mirror_url: say mirror_url with its login in it, too")
        accounts.put_index(tx, changed)
        shown = public_keys(index), public_keys(changed)
        audit.note(tx, Event("index.modify", index.full_name, difference(index.keys, keys, shown)))
        if _upstream(changed) != _upstream(index):
            mirrors.forget_pages(tx, index.full_name)
        return changed

    def _delete(self, tx: Transaction, actor: Actor, user: str, name: str) -> None:
        index = self._checked(tx, actor, Right.DELETE_INDEX, user, name)
        if not index.is_volatile:
            raise Denied(f"index {index.full_name} non-volatile, cannot delete")
        stages.drop_index(tx, index.full_name)
        accounts.drop_index(tx, index)
        audit.note(tx, Event("index.delete", index.full_name, {"keys": public_keys(index)}))

    def _checked(self, tx: Transaction, actor: Actor, right: Right, user: str, name: str) -> Index:
        index = accounts.index(tx.sql, user, name)
        if index is None:
            raise IndexNotFound(f"{user}/{name}")
        if not self._policy.may(actor, right, index):
            if actor.name is not None and not self._policy.may(actor, Right.READ, index):
                raise IndexNotFound(f"{user}/{name}")
            raise Denied(f"no permission to {right.value} {index.full_name}", login=actor.name is None)
        return index

    def _may_be_base(self, tx: Transaction, actor: Actor, own: IndexName, known: Sequence[IndexName] = ()) -> Exists:
        """Whoever may not read an index cannot find out that it is there by naming it as a base."""

        def exists(name: IndexName) -> bool:
            if name == own or name in known:
                return True
            index = accounts.index(tx.sql, *name.split("/"))
            return index is not None and self._policy.may(actor, Right.READ, index)

        return exists


def _upstream(index: Index) -> str:
    return without_credentials(str(index.keys.get("mirror_url", "")))


def _shows_login(before: Index, after: Index) -> bool:
    """Whether another proxy will read the login of the same upstream, which http:// hides from none."""
    url = str(before.keys.get("mirror_url", ""))
    own = after.keys.get("mirror_proxy", DIRECT)
    is_other = own not in (DIRECT, before.keys.get("mirror_proxy"))
    return is_other and after.keys["mirror_url"] == url != without_credentials(url) and url.lower().startswith("http:")


def _says_login(index: Index, change: Mapping[str, Any] | Sequence[object]) -> bool:
    """Whether who asks for the change knows the login: he sent it himself."""
    url = index.keys["mirror_url"]
    return change.get("mirror_url") == url if isinstance(change, Mapping) else f"mirror_url={url}" in change


def _with_secret(index: Index, change: Mapping[str, Any]) -> Mapping[str, Any]:
    """A client that sends back the URLs it was shown does not mean to drop their credentials."""
    stored = {key: str(index.keys[key]) for key in WITH_LOGIN if key in index.keys}
    return {**change, **{key: url for key, url in stored.items() if change.get(key) == without_credentials(url)}}
