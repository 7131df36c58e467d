"""Work ahead of requests: revalidate what is in use, fetch what will be asked for next.

Refreshing keeps warm requests from ever waiting for upstream. Reading ahead makes
a cold install fast over a slow line: for a page that an installer asked for, the
newest wheel's metadata is fetched, then the pages of what it requires, and so on;
a small wheel whose metadata a client reads is fetched at once.
Both are bounded; reading ahead can be switched off.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from packaging.version import Version

from stilton.domain import freshness, metadata
from stilton.domain.errors import StiltonError
from stilton.domain.files import File, Project, path_of
from stilton.domain.names import ProjectName, is_wheel, version_of
from stilton.domain.versions import parsed
from stilton.lru import Lru
from stilton.metrics import Metrics
from stilton.mirror.files import Files, Listed, Stored
from stilton.mirror.metadata import Metadata
from stilton.mirror.projects import Projects, Seen

log = logging.getLogger(__name__)

T = TypeVar("T")

IN_USE_LIMIT = 5_000
"""Projects that are kept fresh; the least recently used go first."""
REFRESHES_AT_ONCE = 4
TICK_S = 5.0
AHEAD_AT_ONCE = 64
AHEAD_QUEUE = 2_000
"""More than this many pages waiting: what comes is dropped, an installer will ask anyway."""
AHEAD_MEMORY = 20_000
WHEELS_AT_ONCE = 12
WHEEL_BYTES = 2 << 20
"""Larger wheels are fetched when they are asked for: their download hides the latency."""


class Refresh:
    """Keeps the pages in use of one mirror fresh. `is_down()`: upstream is not to be asked."""

    def __init__(
        self,
        projects: Projects,
        metrics: Metrics,
        now: Callable[[], float],
        *,
        max_age_s: float,
        is_down: Callable[[], bool],
    ) -> None:
        self._projects = projects
        self._metrics = metrics
        self._now = now
        self._max_age_s = max_age_s
        self._is_down = is_down
        # When each was last used, and when it is to be refreshed. Unix seconds.
        self._due: Lru[ProjectName, tuple[float, float]] = Lru(IN_USE_LIMIT)

    def used(self, seen: Seen) -> None:
        """Somebody asked for this page just now."""
        checked_at = seen.fresh_until - self._max_age_s
        due_at = freshness.refresh_at(checked_at, max_age_s=self._max_age_s, jitter=random.random())  # noqa: S311
        self._due.put(seen.project.name, (self._now(), due_at))

    async def run(self) -> None:
        """Until cancelled: refresh what is due and was used since its last refresh."""
        while True:
            await asyncio.sleep(min(TICK_S, max(0.05, self._max_age_s / 20)))
            if not self._is_down():
                await self.once()

    async def once(self) -> None:
        """Refresh what is due now."""
        now = self._now()
        due = [name for name in self._due.keys() if (entry := self._due.get(name)) and entry[1] <= now]  # noqa: SIM118
        gate = asyncio.Semaphore(REFRESHES_AT_ONCE)

        async def one(name: ProjectName) -> None:
            entry = self._due.get(name)
            self._due.pop(name)
            # Not used for a whole life of a page: let it rest until somebody asks.
            if entry is None or now - entry[0] > self._max_age_s:
                return
            async with gate:
                with contextlib.suppress(StiltonError):
                    await self._projects.refresh(name, though_fresh=False)
                    self._metrics.count("refreshed")
                    self._due.put(name, (entry[0], freshness.refresh_at(
                        self._now(), max_age_s=self._max_age_s, jitter=random.random()  # noqa: S311
                    )))  # fmt: skip

        await asyncio.gather(*(one(name) for name in due))


class ReadAhead:
    """Fetches what installers will ask for next, but no name that somebody `keeps_private` here."""

    def __init__(
        self,
        projects: Projects,
        files: Files,
        files_metadata: Metadata,
        metrics: Metrics,
        keeps_private: Callable[[ProjectName], bool],
    ) -> None:
        self._keeps_private = keeps_private
        self._projects = projects
        self._files = files
        self._metadata = files_metadata
        self._metrics = metrics
        self._seen: Lru[ProjectName, bool] = Lru(AHEAD_MEMORY)
        self._queue: asyncio.Queue[ProjectName] = asyncio.Queue(AHEAD_QUEUE)
        self._wheels: asyncio.Queue[str] = asyncio.Queue(AHEAD_QUEUE)

    def wanted(self, project: ProjectName) -> None:
        """An installer asked for this page: look ahead from here, once."""
        if self._seen.get(project) is None and not self._keeps_private(project):
            self._seen.put(project, True)  # noqa: FBT003
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(project)

    def considered(self, path: str) -> None:
        """A client asked for the metadata of the wheel at `path`: it will probably install it."""
        with contextlib.suppress(asyncio.QueueFull):
            self._wheels.put_nowait(path)

    async def run(self) -> None:
        """Until cancelled: work off what is wanted."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(AHEAD_AT_ONCE):
                workers.create_task(_work(self._queue, self._look_ahead))
            for _ in range(WHEELS_AT_ONCE):
                workers.create_task(_work(self._wheels, self._fetch))

    async def _fetch(self, path: str) -> None:
        found = await self._files.find(path)
        is_small = isinstance(found, Listed) and (found.file.size or WHEEL_BYTES) < WHEEL_BYTES
        if isinstance(found, Listed) and is_small and self._files.can_keep(found, found.file.size):
            await self._files.whole(found)
            self._metrics.count("read_ahead", "wheel")

    async def _look_ahead(self, project: ProjectName) -> None:
        seen = await self._projects.page(project)
        file = _newest_wheel(seen.project)
        if file is None:
            return
        stored = await self._metadata.find(path_of(file))
        if not isinstance(stored, Stored):
            return  # the disk takes nothing: neither would it what is read ahead
        self._metrics.count("read_ahead", "metadata")
        for requirement in metadata.requirements(stored.path.read_bytes()):
            self.wanted(requirement)


async def _work(queue: asyncio.Queue[T], do: Callable[[T], Awaitable[None]]) -> None:
    while True:
        wish = await queue.get()
        try:
            await do(wish)
        except StiltonError as error:
            log.debug("Not read ahead from %s: %s", wish, error)
        except Exception:
            log.exception("Reading ahead from %s broke down", wish)


def _newest_wheel(project: Project) -> File | None:
    """The wheel whose metadata a resolver reads first: of the newest final release."""
    best: tuple[Version, File] | None = None
    for file in project.files:
        if not is_wheel(file.filename) or file.yanked is not False:
            continue
        version = parsed(version_of(file.filename, project.name) or "")
        if version is None:
            continue
        if not version.is_prerelease and (best is None or version > best[0]):
            best = (version, file)
    return best[1] if best else None
