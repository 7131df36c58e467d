"""What mirrors keep, file by file: what is there without a network, and what nobody asked for lately."""

from collections.abc import Callable
from typing import Any

import msgspec

from stilton.catalog.indexes import Indexes
from stilton.db import inventory
from stilton.db.database import Database
from stilton.db.inventory import Cached
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Actor

PAGE = 5_000
"""So many files in one answer."""


class Wanted(msgspec.Struct, frozen=True):
    """Which files. `project` None: of all. `unused_for_s`: not asked for in so many seconds.

    `after`: of those the ones that come after this one (`user/index/+f/...`), as the answer before said.
    """

    project: ProjectName | None = None
    unused_for_s: float = 0.0
    after: str = ""


class Stock:
    """The files that mirrors keep."""

    def __init__(self, db: Database, indexes: Indexes, now: Callable[[], float]) -> None:
        self._db = db
        self._indexes = indexes
        self._now = now

    async def cached(
        self, actor: Actor, user: str, name: str, wanted: Wanted
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Some files of an index's mirrors (itself, or those that it inherits from and `actor` may read).

        The second is `after` of the rest, None when that is all. Raises IndexNotFound, Denied.
        """
        index = await self._indexes.readable(actor, user, name)
        mirrors = [each.full_name for each in self._indexes.order(index) if each.is_mirror]
        readable = [mirror for mirror in mirrors if self._indexes.is_readable(actor, mirror)]
        found: list[dict[str, Any]] = []
        for mirror, after in _from(readable, wanted.after):
            before = self._now() - wanted.unused_for_s if wanted.unused_for_s else None
            room = PAGE - len(found)
            files = await self._db.read(
                inventory.cached_of, mirror, wanted.project, unused_since=before, after=after, most=room + 1
            )
            found += [_shown(mirror, file) for file in files[:room]]
            if len(files) > room:
                return found, f"{found[-1]['index']}/{found[-1]['path']}"
        return found, None


def _from(mirrors: list[IndexName], after: str) -> list[tuple[IndexName, str]]:
    """Mirrors that are not done yet, and the path where to go on."""
    for at, mirror in enumerate(mirrors):
        if after.startswith(f"{mirror}/"):
            return [(mirror, after[len(mirror) + 1 :]), *((rest, "") for rest in mirrors[at + 1 :])]
    return [(mirror, "") for mirror in mirrors]


def _shown(mirror: IndexName, file: Cached) -> dict[str, Any]:
    return {
        "index": mirror,
        "project": file.project,
        "path": file.path,
        "size": file.held.size,
        "sha256": file.held.digest,
        "fetched_at": file.fetched_at,
        "used_at": file.used_at,
        "uses": file.uses,
        "pinned": file.pinned,
    }
