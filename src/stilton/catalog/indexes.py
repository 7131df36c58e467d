"""Which indexes there are, and the mirror behind each.

Read from the database when the first request comes, and again when an index
changed. Every index is a mirror today; inheritance will be resolved here.
"""

import asyncio
import logging
from collections.abc import Callable

from stilton.db import accounts
from stilton.db.database import Database
from stilton.domain.errors import IndexNotFound, SetupError
from stilton.domain.indexes import Index, MirrorConfig, mirror_config
from stilton.domain.names import IndexName, ProjectName
from stilton.mirror.mirror import Mirror

log = logging.getLogger(__name__)


class Indexes:
    """`make(config)` builds a mirror; `cache_expiry_s` is the server's default."""

    def __init__(self, db: Database, make: Callable[[MirrorConfig], Mirror], *, cache_expiry_s: float) -> None:
        self._db = db
        self._make = make
        self._cache_expiry_s = cache_expiry_s
        self._mirrors: dict[IndexName, Mirror] = {}
        self._outdated = True
        self._lock = asyncio.Lock()
        self._listeners: list[Callable[[IndexName], None]] = []

    def on_upstream_change(self, listener: Callable[[IndexName], None]) -> None:
        """Call `listener(index)` when an index's upstream went down or came back, or it was reconfigured."""
        self._listeners.append(listener)

    async def mirror(self, user: str, name: str) -> Mirror:
        """The mirror `user/name`. Raises IndexNotFound."""
        if self._outdated:
            await self._reload()
        mirror = self._mirrors.get(IndexName(f"{user}/{name}"))
        if mirror is None:
            raise IndexNotFound(f"{user}/{name}")
        return mirror

    async def all(self) -> list[Mirror]:
        """Every mirror."""
        if self._outdated:
            await self._reload()
        return list(self._mirrors.values())

    def forget(self) -> None:
        """Some index changed."""
        self._outdated = True

    def forget_project(self, index: IndexName, project: ProjectName) -> None:
        """A project changed in the database, perhaps by another process."""
        mirror = self._mirrors.get(index)
        if mirror is not None:
            mirror.projects.forget(project)

    async def close(self) -> None:
        """Close every mirror."""
        for mirror in self._mirrors.values():
            await mirror.close()

    async def _reload(self) -> None:
        async with self._lock:
            if not self._outdated:
                return
            wanted = {index.full_name: index for index in await self._db.read(accounts.all_indexes) if index.is_mirror}
            for name in [name for name in self._mirrors if name not in wanted]:
                await self._mirrors.pop(name).close()
            for index in wanted.values():
                await self._open(index)
            self._outdated = False

    async def _open(self, index: Index) -> None:
        name = index.full_name
        try:
            config = mirror_config(index, cache_expiry_s=self._cache_expiry_s)
        except SetupError as error:
            log.error("Index %s cannot be served: %s", name, error)  # noqa: TRY400 - the text says it all
            return
        old = self._mirrors.get(name)
        if old is not None:
            if old.config == config:
                return
            await old.close()
        mirror = self._mirrors[name] = self._make(config)
        mirror.upstream.on_change(lambda: self._tell(name))
        mirror.start()
        self._tell(name)

    def _tell(self, name: IndexName) -> None:
        for listener in self._listeners:
            listener(name)
