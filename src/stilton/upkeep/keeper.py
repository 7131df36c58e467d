"""Housekeeping that takes its time: once a minute and once an hour, in one worker of all.

each minute   every worker: when files were used     the keeper: retention where something was uploaded, eviction
each hour                                            the keeper: retention everywhere, the sweep
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from stilton.blobs.local import LocalBlobs
from stilton.db.database import Database
from stilton.domain.errors import StiltonError
from stilton.domain.names import IndexName, ProjectName
from stilton.upkeep import evict, retain, sweep
from stilton.upkeep.report import Report
from stilton.upkeep.space import Space
from stilton.upkeep.uses import Uses

log = logging.getLogger(__name__)

MINUTE_S = 60.0
MINUTES_AN_HOUR = 60


class Keeper:
    """`may_go(mirror)`: whether what it holds can be fetched again. `lock`: a file; who locks it is the keeper."""

    def __init__(
        self,
        db: Database,
        blobs: LocalBlobs,
        space: Space,
        report: Report,
        *,
        lock: Path,
        may_go: Callable[[IndexName], bool],
        now: Callable[[], float],
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._space = space
        self._report = report
        self._lock_path = lock
        self._lock: int | None = None
        self._may_go = may_go
        self._now = now
        self.uses = Uses(db, now)
        self._changed: set[tuple[IndexName, ProjectName]] = set()

    def noticed(self, entities: Iterable[str]) -> None:
        """Something was committed, by whichever worker (`domain.changes`)."""
        for entity in entities:
            kind, _, name = entity.partition(":")
            if kind == "project":
                index, _, project = name.rpartition("/")
                self._changed.add((IndexName(index), ProjectName(project)))

    async def run(self, every_s: float = MINUTE_S) -> None:
        """Until cancelled."""
        minutes = 0
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.minute()
                # The first time soon after the start, so that what is reported is not empty for an hour.
                if minutes % MINUTES_AN_HOUR == 0 and self._is_keeper():
                    await self.hour()
            except StiltonError as error:
                log.error("Housekeeping tries again in a minute: %s", error)  # noqa: TRY400 - a sentence says it
            except Exception:
                log.exception("Housekeeping broke down, it tries again in a minute")
            minutes += 1

    async def minute(self) -> None:
        """What does not wait for an hour."""
        await self.uses.flush()
        changed, self._changed = self._changed, set()
        if self._is_keeper():
            self._space.look()
            await retain.retain(self._db, self._now, sorted(changed))
            await evict.evict(self._db, self._blobs, self._may_go, self._now)

    async def hour(self) -> None:
        """What looks at everything."""
        await retain.retain(self._db, self._now)
        found = await sweep.sweep(self._db, self._blobs, self._now)
        if found.removed:
            log.info("Removed %d blobs (%d bytes) that nothing refers to", found.removed, found.removed_bytes)
        self._report.swept(found)

    async def close(self) -> None:
        """Write what is known; let another worker be the keeper."""
        await self.uses.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _is_keeper(self) -> bool:
        if self._lock is None:
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        return True
