"""Names of all projects upstream: for listings, never on an install's path."""

import asyncio
import logging
import sys
from collections.abc import Callable

import msgspec

from stilton.db import mirrors
from stilton.db.database import Database
from stilton.db.mirrors import ProjectList
from stilton.domain import freshness
from stilton.domain.errors import UpstreamTrouble
from stilton.domain.freshness import Plan
from stilton.domain.names import ProjectName
from stilton.flights import Flights
from stilton.upstream.index import Upstream

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

log = logging.getLogger(__name__)

MIN_MAX_AGE_S = 1800.0
"""The list is tens of megabytes; it is not asked for more often than this."""


class Names:
    """The list of one mirror, kept compressed in the database and nowhere else."""

    def __init__(
        self, upstream: Upstream, db: Database, now: Callable[[], float], *, held_only: Callable[[], bool]
    ) -> None:
        self._upstream = upstream
        self._mirror = upstream.config.name
        self._db = db
        self._now = now
        self._held_only = held_only
        self._flights: Flights[str, ProjectList | None] = Flights()

    async def all(self) -> list[ProjectName]:
        """Sorted names; those known here when upstream has no list or cannot be reached."""
        if self._upstream.config.no_project_list or self._held_only():
            return await self._known()
        kept = await self._db.read(mirrors.project_list, self._mirror)
        max_age_s = max(MIN_MAX_AGE_S, self._upstream.config.cache_expiry_s)
        if freshness.plan(kept.checked_at if kept else None, now=self._now(), max_age_s=max_age_s) is not Plan.SERVE:
            try:
                kept = await self._flights.join("", lambda: self._ask(kept))
            except UpstreamTrouble as trouble:
                log.warning("Listing the projects that are known here: %s", trouble)
        if kept is None:
            return await self._known()
        text = await asyncio.to_thread(zstd.decompress, kept.names)
        return [ProjectName(name) for name in text.decode().splitlines()]

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._flights.drain()

    async def _known(self) -> list[ProjectName]:
        return await self._db.read(mirrors.known_projects, self._mirror)

    async def _ask(self, kept: ProjectList | None) -> ProjectList | None:
        now = self._now()
        answer = await self._upstream.names(etag=kept.etag if kept else None)
        if answer is not None:
            names, etag = answer
            packed = await asyncio.to_thread(zstd.compress, "\n".join(names).encode(), 3)
            kept = ProjectList(names=packed, etag=etag, serial=None, checked_at=now)
        elif kept is not None:
            kept = msgspec.structs.replace(kept, checked_at=now)
        if kept is not None:
            await self._db.write(mirrors.keep_project_list, self._mirror, kept)
        return kept
