"""Who uses how much of the disk, and what would be freed. Put together when somebody asks, at most once a minute."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from stilton.db import accounts, upkeep
from stilton.db.database import Database
from stilton.db.upkeep import Usage
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName
from stilton.flights import Flights
from stilton.upkeep import evict, retain
from stilton.upkeep.space import Space
from stilton.upkeep.sweep import Swept

FRESH_S = 60.0
INSTANT = "%Y-%m-%dT%H:%M:%SZ"
MOST_INDEXES = 100
MOST_PROJECTS = 10_000


class LastSweep(msgspec.Struct, frozen=True):
    """What a sweep found. `at`: when it ended, Unix seconds."""

    at: float
    found: Swept


class Report:
    """`last_sweep`: the file where the worker that sweeps says what it found, for all workers."""

    def __init__(self, db: Database, space: Space, last_sweep: Path, now: Callable[[], float]) -> None:
        self._db = db
        self._space = space
        self._last_sweep = last_sweep
        self._now = now
        self._flights: Flights[str, None] = Flights()
        self._usage: list[Usage] = []
        self._would_free: dict[str, int] = {}
        self._made_at: float | None = None

    async def disk(self, may_read: Callable[[IndexName], bool]) -> dict[str, Any]:
        """The report, with the indexes that the asking person may read, the largest first."""
        if self._made_at is None or not 0 <= self._now() - self._made_at < FRESH_S:
            await self._flights.join("", self._make)
        shown = [usage for usage in self._usage if may_read(IndexName(usage.name))]
        last, room = self._last(), self._space.room()
        swept = last.found if last else None
        would_free = sum(self._would_free.get(usage.name, 0) for usage in shown)
        return {
            "free": room.free,
            "total": room.total,
            "min_free": self._space.min_free_bytes,
            "low": self._space.is_low,
            "blobs": {"files": swept.blobs, "bytes": swept.bytes} if swept else None,
            "swept_at": time.strftime(INSTANT, time.gmtime(last.at)) if last else None,
            "unreferenced": {"files": swept.waiting, "bytes": swept.waiting_bytes} if swept else None,
            "indexes": {usage.name: self._shown(usage) for usage in shown[:MOST_INDEXES]},
            "would_free": would_free + (swept.waiting_bytes if swept else 0),
        }

    async def projects(self, index: Index) -> list[Usage]:
        """What each project of an index keeps, the largest first."""
        return await self._db.read(upkeep.project_usage, index.full_name, MOST_PROJECTS)

    def swept(self, found: Swept) -> None:
        """A sweep ended: note what it found."""
        temporary = self._last_sweep.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(LastSweep(self._now(), found)))
        temporary.replace(self._last_sweep)

    def _shown(self, usage: Usage) -> dict[str, int]:
        return {"files": usage.files, "bytes": usage.bytes, "would_free": self._would_free.get(usage.name, 0)}

    def _last(self) -> LastSweep | None:
        try:
            return msgspec.json.decode(self._last_sweep.read_bytes(), type=LastSweep)
        except (OSError, msgspec.DecodeError):
            return None

    async def _make(self) -> None:
        self._usage = await self._db.read(upkeep.usage)
        would_free: dict[str, int] = {}
        for index in await self._db.read(accounts.all_indexes):
            if index.is_mirror:
                would_free[index.full_name] = sum(
                    file.size or 0 for file in await evict.due(self._db, index, self._now())
                )
            else:
                would_free[index.full_name] = sum(one.bytes for one in await self._db.read(retain.due, index, None))
        self._would_free = would_free
        self._made_at = self._now()
