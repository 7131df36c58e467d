"""One mirror index, put together."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.db.database import Database
from stilton.domain.errors import OFFLINE, NotHeld, StiltonError, UpstreamUnavailable
from stilton.domain.indexes import MirrorConfig
from stilton.domain.names import ProjectName
from stilton.metrics import Metrics
from stilton.mirror.files import Files
from stilton.mirror.metadata import Metadata
from stilton.mirror.names import Names
from stilton.mirror.projects import Projects
from stilton.mirror.refresh import ReadAhead, Refresh
from stilton.upstream.index import Upstream

HICCUP_S = 10.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator chose for all mirrors. Times in seconds."""

    request_timeout_s: float = 5.0
    offline: bool = False
    held_only_when_down: bool = True
    read_ahead: bool = True


class Mirror:
    """Pages, files, metadata and names of one upstream index.

    `keeps_private(project)`: whether somebody here hosts a project of that name and lets no mirror in.
    `has_room(bytes)`: whether the disk takes so many more.
    """

    def __init__(
        self,
        config: MirrorConfig,
        options: Options,
        db: Database,
        blobs: LocalBlobs,
        metrics: Metrics,
        now: Callable[[], float],
        keeps_private: Callable[[ProjectName], bool],
        *,
        has_room: Callable[[int], bool],
    ) -> None:
        self.config = config
        self._now = now
        self._options = options
        upstream = Upstream(config, metrics, request_timeout_s=options.request_timeout_s, offline=options.offline)
        self.upstream = upstream
        self.names = Names(upstream, db, now, held_only=lambda: self.is_down)

        async def is_secret(project: ProjectName) -> bool:
            """A private name that upstream does not list: asking for it would give it away."""
            return keeps_private(project) and project not in await self.names.all()

        self.projects = Projects(upstream, db, metrics, now, is_secret, wait_s=options.request_timeout_s)
        self.files = Files(upstream, self.projects, db, blobs, metrics, now, keeps_private, has_room=has_room)
        self.metadata = Metadata(upstream, self.files, db, blobs, now)
        self.refresh = Refresh(
            self.projects, metrics, now, max_age_s=config.cache_expiry_s, is_down=lambda: self.is_down
        )
        self.read_ahead = ReadAhead(self.projects, self.files, self.metadata, metrics, keeps_private)
        self._background: list[asyncio.Task[None]] = []

    @property
    def is_down(self) -> bool:
        """Whether upstream is known not to answer, or is not to be asked."""
        return self.upstream.circuit.is_open

    @property
    def held_only(self) -> bool:
        """Whether pages list only files that are held here: nobody is there who could give others."""
        circuit = self.upstream.circuit
        gone = circuit.is_open and not circuit.reached
        return gone and (self._options.held_only_when_down or self._options.offline)

    def missing(self, project: ProjectName) -> StiltonError:
        """What to say when nothing of `project` is held and `held_only` is so.

        For the first moments installers are asked to come back: their retries bridge
        a hiccup. After that the answer is "not here", at once.
        """
        circuit = self.upstream.circuit
        if self.upstream.down_s < HICCUP_S:
            return UpstreamUnavailable(self.config.name, circuit.why, retry_after_s=1)
        since = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(circuit.opened_at or 0.0))
        why = OFFLINE if self._options.offline else f"upstream does not answer since {since} ({circuit.why})"
        return NotHeld(f"any file of {project}", self.config.name, why=why, is_page=True)

    def start(self) -> None:
        """Begin the background work."""
        if self._options.offline:
            return
        self._background.append(asyncio.ensure_future(self.refresh.run()))
        if self._options.read_ahead:
            self._background.append(asyncio.ensure_future(self.read_ahead.run()))

    def rest(self) -> None:
        """End the background work; requests are still answered."""
        for task in self._background:
            task.cancel()

    async def close(self) -> None:
        """End everything; downloads in progress are not kept."""
        for task in self._background:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for part in (self.metadata, self.files, self.projects, self.names, self.upstream):
            await part.close()
