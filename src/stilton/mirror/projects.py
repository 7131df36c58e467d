"""A mirror's project pages: kept, revalidated, fetched; stale ones rather than none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

import msgspec

from stilton import visits
from stilton.db import mirrors
from stilton.db.database import Database
from stilton.domain import freshness
from stilton.domain.errors import (
    Damaged,
    NotHeld,
    OfflineMode,
    ProjectNotFound,
    StorageTrouble,
    UpstreamTrouble,
    UpstreamUnavailable,
)
from stilton.domain.files import Project, best_hash
from stilton.domain.freshness import Plan
from stilton.domain.names import ProjectName
from stilton.flights import Flights
from stilton.lru import Lru
from stilton.metrics import Metrics
from stilton.upstream.index import Absent, Changed, Unchanged, Upstream

log = logging.getLogger(__name__)

MAX_FILES_IN_MEMORY = 60_000
"""Documents in memory, counted in files: about 0.5 kB each."""
INLINE_BYTES = 32 << 10
"""Larger documents are unpacked in a thread."""
MAX_NEGATIVE = 10_000
NEGATIVE_MAX_AGE_S = 60.0
FIRST_WAIT = 2.5
"""So many times `wait_s` is waited for a page when none is kept."""
STALE_HOLD_S = 2.0
"""A stale page is shown for so long before upstream is tried again."""


class Seen(msgspec.Struct, frozen=True):
    """A page to be shown. `fresh_until`: Unix seconds; a stale page has moments left."""

    project: Project
    fresh_until: float
    stale: bool = False


class Projects:
    """Pages of one mirror. `is_secret(project)`: upstream must not hear of it.

    `wait_s`: how long a client waits for a revalidation.
    """

    def __init__(
        self,
        upstream: Upstream,
        db: Database,
        metrics: Metrics,
        now: Callable[[], float],
        is_secret: Callable[[ProjectName], Awaitable[bool]],
        *,
        wait_s: float,
    ) -> None:
        self._is_secret = is_secret
        self._upstream = upstream
        self._mirror = upstream.config.name
        self._max_age_s = upstream.config.cache_expiry_s
        self._db = db
        self._metrics = metrics
        self._now = now
        self._wait_s = wait_s
        self._flights: Flights[ProjectName, mirrors.Page] = Flights()
        self._memory: Lru[ProjectName, mirrors.Page] = Lru(
            MAX_FILES_IN_MEMORY, lambda page: 1 + len(page.project.files)
        )
        self._absent: Lru[ProjectName, float] = Lru(MAX_NEGATIVE)
        self._storing: dict[ProjectName, asyncio.Task[None]] = {}
        self._demanded: set[ProjectName] = set()

    async def page(self, project: ProjectName) -> Seen:
        """What upstream shows of `project`.

        Raises ProjectNotFound, NotHeld (offline), or UpstreamTrouble when nothing is kept.
        """
        kept = await self.kept(project)
        match freshness.plan(kept.checked_at if kept else None, now=self._now(), max_age_s=self._max_age_s):
            case Plan.SERVE if kept is not None:
                self._count("hit")
                return self._seen(kept)
            case Plan.REVALIDATE if kept is not None:
                return await self._revalidated(project, kept)
            case _:
                return await self._fetched(project)

    async def kept(self, project: ProjectName) -> mirrors.Page | None:
        """What is kept of `project`, however old. Never asks upstream."""
        page = self._memory.get(project)
        if page is None:
            page = await self._read(project)
            if page is not None:
                self._memory.put(project, page)
        return page

    async def refresh(self, project: ProjectName, *, though_fresh: bool = True) -> None:
        """Ask upstream now, even about a page that somebody just asked about. Raises as `page` does."""
        self._absent.pop(project)
        if though_fresh:
            self._demanded.add(project)
        await self._flights.join(project, lambda: self._ask(project))
        # Who ordered it may ask another worker next, which looks into the database.
        if storing := self._storing.get(project):
            await asyncio.wait([storing])

    def forget(self, project: ProjectName) -> None:
        """The database has another page now (another process may have put it there)."""
        self._memory.pop(project)

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._flights.drain()
        await self.stored()

    async def stored(self) -> None:
        """Wait until every page that was served so far is in the database."""
        if self._storing:
            await asyncio.wait(list(self._storing.values()))

    async def _revalidated(self, project: ProjectName, kept: mirrors.Page) -> Seen:
        flight = self._flights.join(project, lambda: self._ask(project))
        try:
            page = await asyncio.wait_for(flight, self._wait_s)
        except TimeoutError:
            # The flight goes on and will be there for the next request.
            log.warning("Serving the kept page of %s: upstream took over %s s", project, self._wait_s)
        except OfflineMode:
            pass
        except UpstreamTrouble as trouble:
            level = logging.DEBUG if self._upstream.circuit.is_open else logging.WARNING
            log.log(level, "Serving the kept page of %s: %s", project, trouble)
        else:
            self._count("revalidated")
            return self._seen(page)
        self._count("stale")
        return Seen(kept.project, fresh_until=self._now() + STALE_HOLD_S, stale=True)

    async def _fetched(self, project: ProjectName) -> Seen:
        absent_since = self._absent.get(project)
        max_age_s = min(NEGATIVE_MAX_AGE_S, self._max_age_s)
        if freshness.plan(absent_since, now=self._now(), max_age_s=max_age_s) is Plan.SERVE:
            raise ProjectNotFound(project, self._mirror)
        self._count("miss")
        flight = self._flights.join(project, lambda: self._ask(project))
        try:
            return self._seen(await asyncio.wait_for(flight, FIRST_WAIT * self._wait_s))
        except TimeoutError:
            # Sooner than installers give up (pip: 15 s); the flight goes on and their retry finds it.
            why = f"no page of {project} within {FIRST_WAIT * self._wait_s:g} s"
            raise UpstreamUnavailable(self._mirror, why, retry_after_s=1) from None
        except OfflineMode as offline:
            raise NotHeld(f"any file of {project}", self._mirror, is_page=True) from offline

    async def _ask(self, project: ProjectName) -> mirrors.Page:
        # From the database: another worker may have been faster.
        kept = await self._read(project)
        demanded = project in self._demanded
        self._demanded.discard(project)
        young = freshness.plan(kept.checked_at if kept else None, now=self._now(), max_age_s=self._max_age_s / 2)
        if kept and young is Plan.SERVE and not demanded:
            self._memory.put(project, kept)
            return kept
        if kept is None and await self._is_secret(project):
            self._absent.put(project, self._now())
            # In the same words as of any other: nobody learns which names are private here.
            raise ProjectNotFound(project, self._mirror)
        started = self._now()
        answer = await self._upstream.page(
            project, etag=kept.etag if kept else None, serial=kept.project.serial if kept else None
        )
        self._metrics.took("upstream_page", max(0.0, self._now() - started))
        page = await self._keep(project, kept, answer)
        self._memory.put(project, page)
        return page

    async def _keep(
        self, project: ProjectName, kept: mirrors.Page | None, answer: Changed | Unchanged | Absent
    ) -> mirrors.Page:
        now = self._now()
        match answer:
            case Changed(found, etag) if kept is None or found != kept.project or etag != kept.etag:
                page = mirrors.Page(project=found, etag=etag, checked_at=now)
                self._alarm(kept, found)
                self._store(project, self._db.write(mirrors.keep_page, self._mirror, page))
                return page
            case _ if kept is None:
                self._absent.put(project, now)
                raise ProjectNotFound(project, self._mirror)
            case Absent():
                log.warning("%s is gone upstream; serving what is kept of it", project)
        page = msgspec.structs.replace(kept, checked_at=now)
        self._store(project, self._db.write(mirrors.confirm_page, self._mirror, project, now))
        return page

    async def _read(self, project: ProjectName) -> mirrors.Page | None:
        if storing := self._storing.get(project):
            await asyncio.wait([storing])
        packed = self._db.glance(mirrors.page, self._mirror, project)
        if packed is None:
            return None
        if len(packed.document) > INLINE_BYTES:
            return await asyncio.to_thread(mirrors.unpack, packed)
        return mirrors.unpack(packed)

    def _store(self, project: ProjectName, writing: Coroutine[None, None, None]) -> None:
        """Nobody waits for the disk: a page that cannot be stored can still be served."""

        async def store() -> None:
            try:
                await writing
            except (StorageTrouble, Damaged) as trouble:
                log.error("%s of %s is served but not kept: %s", project, self._mirror, trouble)  # noqa: TRY400
            finally:
                self._storing.pop(project, None)

        self._storing[project] = asyncio.ensure_future(store())

    def _count(self, how: str) -> None:
        self._metrics.count("pages", how)
        visits.cached(how)

    def _seen(self, page: mirrors.Page) -> Seen:
        return Seen(page.project, fresh_until=page.checked_at + self._max_age_s)

    def _alarm(self, kept: mirrors.Page | None, found: Project) -> None:
        """A file name that gets other bytes is either a broken upstream or an attack."""
        if kept is None:
            return
        before = {file.filename: best_hash(file.hashes) for file in kept.project.files}
        for file in found.files:
            old, new = before.get(file.filename), best_hash(file.hashes)
            if old and new and old[0] == new[0] and old != new:
                self._metrics.count("changed_files")
                log.error(
                    "Upstream changed the bytes of %s (%s was %s, is %s); the old file stays at its old URL",
                    file.filename, old[0], old[1], new[1],
                )  # fmt: skip
