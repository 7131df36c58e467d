"""Which indexes there are, in which order they inherit, and the mirror behind each that is one.

Read from the database when the first request comes, and again when an index changed.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from stilton.db import accounts, stages
from stilton.db.database import Database
from stilton.domain import inheritance
from stilton.domain.errors import Denied, IndexNotFound, SetupError
from stilton.domain.indexes import Index, MirrorConfig, mirror_config
from stilton.domain.inheritance import ANY, Member, Source
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Actor, Policy, Right
from stilton.mirror.mirror import Mirror

log = logging.getLogger(__name__)

RETIRED_S = 60.0
"""Requests that a reconfigured mirror is still busy with have so long to end."""


class Indexes:
    """`make(config)` builds a mirror; `cache_expiry_s` is the server's default.

    `internal_networks`: where everybody's mirrors may have their upstream, beside public addresses.
    """

    def __init__(
        self,
        db: Database,
        make: Callable[[MirrorConfig], Mirror],
        policy: Policy,
        *,
        cache_expiry_s: float,
        internal_networks: tuple[str, ...] = (),
    ) -> None:
        self._db = db
        self._make = make
        self._policy = policy
        self._cache_expiry_s = cache_expiry_s
        self._internal_networks = internal_networks
        self._indexes: dict[IndexName, Index] = {}
        self._orders: dict[IndexName, tuple[Index, ...]] = {}
        self._mirrors: dict[IndexName, Mirror] = {}
        self._retired: dict[Mirror, asyncio.Task[None]] = {}
        # How often indexes changed, and as of which change they are known.
        self._changes = 1
        self._known_as_of = 0
        self._lock = asyncio.Lock()
        self._listeners: list[Callable[[IndexName], None]] = []

    def on_upstream_change(self, listener: Callable[[IndexName], None]) -> None:
        """Call `listener(index)` when an index's upstream went down or came back, or it was reconfigured."""
        self._listeners.append(listener)

    async def known(self, user: str, name: str) -> Index:
        """The index `user/name`, whoever asks. Raises IndexNotFound."""
        if self._known_as_of != self._changes:
            await self._reload()
        index = self._indexes.get(IndexName(f"{user}/{name}"))
        if index is None:
            raise IndexNotFound(f"{user}/{name}")
        return index

    async def readable(self, actor: Actor, user: str, name: str) -> Index:
        """The index `user/name`, for one who may read it. Raises IndexNotFound, Denied."""
        index = await self.known(user, name)
        if not self._policy.may(actor, Right.READ, index):
            raise Denied(f"package read forbidden: {index.full_name} is not for everybody", login=actor.name is None)
        return index

    def is_readable(self, actor: Actor, name: IndexName) -> bool:
        """Whether `actor` may read that index."""
        index = self._indexes.get(name)
        return index is not None and self._policy.may(actor, Right.READ, index)

    def order(self, index: Index) -> tuple[Index, ...]:
        """The indexes it inherits from, itself first, mirrors last."""
        order = self._orders.get(index.full_name)
        if order is None:
            names = inheritance.order(index.full_name, self._bases, lambda name: self._indexes[name].is_mirror)
            order = self._orders[index.full_name] = tuple(self._indexes[name] for name in names)
        return order

    def hidden(self, actor: Actor, index: Index) -> tuple[IndexName, ...]:
        """Those of its order that `actor` may not read."""
        order = self.order(index)
        return tuple(one.full_name for one in order if not self._policy.may(actor, Right.READ, one))

    def is_public(self, name: IndexName) -> bool:
        """Whether everybody may read it and all that it inherits from; False while that is not known for sure."""
        if self._known_as_of != self._changes:
            return False
        index = self._indexes.get(name)
        return index is not None and all(map(self._policy.is_public, self.order(index)))

    def sources(self, actor: Actor, index: Index, project: ProjectName) -> list[Source]:
        """Who contributes to a project as `actor` sees it through `index`, and why others do not."""
        order = self.order(index)
        if len(order) == 1 and index.is_mirror:
            return [Source(index.full_name, is_mirror=True, contributes=True, why="it is the index asked")]
        hosting = self._db.glance(stages.hosting, project)
        members = [
            Member(
                index=one.full_name,
                is_mirror=one.is_mirror,
                hosts=hosting.get(one.full_name, False),
                had=hosting.get(one.full_name) is False,
                readable=self._policy.may(actor, Right.READ, one),
                whitelist=one.whitelist,
            )
            for one in order
        ]
        return inheritance.sources(project, members, inheritance=index.whitelist_inheritance)

    def keeps_private(self, project: ProjectName) -> bool:
        """Whether some private index hosts, or hosted, a project of this name and lets no mirror in."""
        hosting = self._db.glance(stages.hosting, project)
        indexes = (self._indexes.get(stage) for stage in hosting)
        return any(index is not None and not index.whitelist & {ANY, project} for index in indexes)

    def is_mirror(self, name: IndexName) -> bool:
        """Whether that index mirrors another one."""
        return name in self._mirrors

    def mirror(self, name: IndexName) -> Mirror:
        """The mirror of that name. Raises IndexNotFound when its configuration is no good."""
        mirror = self._mirrors.get(name)
        if mirror is None:
            raise IndexNotFound(name)
        return mirror

    async def mirrors(self) -> list[Mirror]:
        """Every mirror."""
        if self._known_as_of != self._changes:
            await self._reload()
        return list(self._mirrors.values())

    async def check(self) -> None:
        """Read the database, whatever is known already. Raises what reading it raises."""
        await self._db.read(accounts.all_indexes)

    def forget(self) -> None:
        """Some index changed."""
        self._changes += 1

    def forget_project(self, index: IndexName, project: ProjectName) -> None:
        """A project changed in the database, perhaps by another process."""
        mirror = self._mirrors.get(index)
        if mirror is not None:
            mirror.projects.forget(project)

    async def close(self) -> None:
        """Close every mirror."""
        for task in self._retired.values():
            task.cancel()
        for mirror in [*self._mirrors.values(), *self._retired]:
            await mirror.close()

    def _bases(self, name: IndexName) -> Sequence[IndexName] | None:
        index = self._indexes.get(name)
        return None if index is None else index.bases

    async def _reload(self) -> None:
        async with self._lock:
            as_of = self._changes
            if self._known_as_of == as_of:
                return
            indexes = {index.full_name: index for index in await self._db.read(accounts.all_indexes)}
            mirrors = {name: index for name, index in indexes.items() if index.is_mirror}
            for name in [name for name in self._mirrors if name not in mirrors]:
                self._retire(self._mirrors.pop(name))
            for index in mirrors.values():
                self._open(index)
            self._indexes = indexes
            self._orders = {}
            self._known_as_of = as_of

    def _open(self, index: Index) -> None:
        name = index.full_name
        old = self._mirrors.get(name)
        try:
            networks = ("*",) if self._policy.is_admin(index.user) else self._internal_networks
            config = mirror_config(index, cache_expiry_s=self._cache_expiry_s, networks=networks)
        except SetupError as error:
            log.error("Index %s cannot be served: %s", name, error)  # noqa: TRY400 - the text says it all
            if old is not None:
                self._retire(self._mirrors.pop(name))
            return
        if old is not None:
            if old.config == config:
                return
            self._retire(old)
        mirror = self._mirrors[name] = self._make(config)
        mirror.upstream.on_change(lambda: self._tell(name))
        mirror.start()
        self._tell(name)

    def _retire(self, mirror: Mirror) -> None:
        """Close a mirror that was reconfigured or removed, once those who wait for something of it have it."""

        async def later() -> None:
            await asyncio.sleep(RETIRED_S)
            del self._retired[mirror]
            await mirror.close()

        mirror.rest()
        self._retired[mirror] = asyncio.ensure_future(later())

    def _tell(self, name: IndexName) -> None:
        for listener in self._listeners:
            listener(name)
