"""When held files were last used, to the hour: noted on the file-serving path, written in batches by housekeeping."""

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
        self._written: set[tuple[str, str]] = set()
        self._pending: set[tuple[str, str]] = set()
        self._since = now()

    def note(self, index: str, path: str) -> None:
        """Somebody gets the file at `path` of `index`. On a hot path: two looks into sets."""
        key = (index, path)
        if key not in self._written:
            self._pending.add(key)

    async def flush(self) -> None:
        """Write what was noted. What was written within the hour is not written again."""
        at = self._now()
        # A clock that was set back must not keep uses from being written until it is where it was.
        if not 0 <= at - self._since < FRESH_S:
            self._since = at
            self._written.clear()
        noted, self._pending = self._pending, set()
        self._written |= noted
        left = iter(noted)
        while batch := list(islice(left, BATCH)):
            await self._db.write(upkeep.mark_used, batch, at=at, before=at - FRESH_S)
