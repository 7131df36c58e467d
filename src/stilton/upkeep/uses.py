"""Uses of held files: the last, to the hour, and how many. Noted where files are served, written by housekeeping."""

import asyncio
from collections.abc import Callable
from itertools import islice

from stilton.db import upkeep
from stilton.db.database import Database

FRESH_S = 3600.0
BATCH = 500


class Uses:
    """The uses that this worker saw."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now
        self._counts: dict[tuple[str, str], int] = {}
        self._written: set[tuple[str, str]] = set()
        self._since = now()

    def note(self, index: str, path: str) -> None:
        """Somebody gets the file at `path` of `index`. On a hot path."""
        key = (index, path)
        self._counts[key] = self._counts.get(key, 0) + 1

    async def flush(self) -> None:
        """Write what was noted of files that were not written within the hour."""
        # A clock that was set back must not keep uses from being written until it is where it was.
        if not 0 <= self._now() - self._since < FRESH_S:
            self._since = self._now()
            self._written.clear()
        await self._write({key: count for key, count in self._counts.items() if key not in self._written})

    async def close(self) -> None:
        """Write all that was noted."""
        await self._write(dict(self._counts))

    async def _write(self, noted: dict[tuple[str, str], int]) -> None:
        at = self._now()
        left = iter(noted.items())
        while batch := dict(islice(left, BATCH)):
            self._take(batch)
            try:
                await self._db.write(upkeep.mark_used, batch, at=at)
            except asyncio.CancelledError:
                raise  # the batch is queued, and written all the same
            except BaseException:
                self._give_back(batch)
                raise
            self._written |= batch.keys()

    def _take(self, batch: dict[tuple[str, str], int]) -> None:
        for key, count in batch.items():
            self._counts[key] -= count
            if not self._counts[key]:
                del self._counts[key]

    def _give_back(self, batch: dict[tuple[str, str], int]) -> None:
        for key, count in batch.items():
            self._counts[key] = self._counts.get(key, 0) + count
