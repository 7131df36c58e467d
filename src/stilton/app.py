"""What hangs together, in plain sight: one worker's tools, work and doors.

`build(config)` opens nothing; the returned App opens on ASGI's lifespan startup,
in the order it is written here, and closes in reverse. Nothing happens at import.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request

from stilton.accounts.users import Users
from stilton.catalog.files import Files
from stilton.catalog.indexes import Indexes
from stilton.catalog.pages import Pages
from stilton.config import Config
from stilton.db import mirrors
from stilton.db.database import Database
from stilton.domain.indexes import MirrorConfig
from stilton.domain.names import IndexName, ProjectName
from stilton.metrics import Metrics
from stilton.mirror.mirror import Mirror, Options
from stilton.serverdir import ServerDir
from stilton.web import routes
from stilton.web.api import About, Api
from stilton.web.asgi import Front
from stilton.web.files import FileAnswers
from stilton.web.http import Answers, Receive, Scope, Send
from stilton.web.simple import SimplePages
from stilton.web.status import Status
from stilton.web.urls import is_trusted, mount

log = logging.getLogger(__name__)
access_log = logging.getLogger("stilton.access")

HOUSEKEEPING_S = 0.1
SWITCH_S = 0.0005
THREADS = 12
PUBLISH_S = 1.0


class App:
    """One worker. Call it as an ASGI app; it opens on `lifespan.startup`.

    `parent`: process id of who watches this worker; when that one is gone, the worker ends.
    """

    def __init__(self, config: Config, *, now: Callable[[], float] = time.time, parent: int | None = None) -> None:
        self.config = config
        self._parent = parent
        self._now = now
        self._front: Front | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if self._front is not None and scope["type"] == "http":
            await self._front(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def open(self) -> None:
        """Hang everything together. The caller holds the serverdir's lock."""
        # Threads that come back from the disk must not wait 5 ms for the event loop's turn to end.
        sys.setswitchinterval(SWITCH_S)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "work"))
        config = self.config
        place = ServerDir(config.serverdir)
        self.metrics = metrics = Metrics()
        self.db = db = Database(place.database, now=self._now)
        blobs = place.blobs
        options = Options(
            request_timeout_s=config.request_timeout,
            offline=config.offline_mode,
            held_only_when_down=config.offline_fallback,
            read_ahead=config.read_ahead,
        )

        def mirror(mirror_config: MirrorConfig) -> Mirror:
            return Mirror(mirror_config, options, db, blobs, metrics, self._now)

        self.indexes = indexes = Indexes(db, mirror, cache_expiry_s=config.mirror_cache_expiry)
        self.pages = pages = Pages(indexes, db, self._now)
        self.files = files = Files(indexes)
        users = Users(db)

        def forget(entities: list[str]) -> None:
            for entity in entities:
                kind, _, name = entity.partition(":")
                if kind == "index":
                    indexes.forget()
                    pages.forget_index(IndexName(name))
                elif kind == "project":
                    index, _, project = name.rpartition("/")
                    pages.forget(IndexName(index), ProjectName(project))
                    files.forget(IndexName(index), ProjectName(project))
                    indexes.forget_project(IndexName(index), ProjectName(project))

        db.on_commit(forget)
        indexes.on_upstream_change(pages.forget_index)

        def trusts(scope: Scope) -> bool:
            client = scope.get("client")
            return is_trusted(client[0] if client else None, config.trusted_proxy)

        def serial() -> int:
            return db.serial

        uuid = place.uuid()
        about = About(
            uuid=uuid, serverdir=str(config.serverdir), host=config.host, port=config.port,
            outside_url=config.outside_url,
        )  # fmt: skip
        self.answers = answers = Answers(uuid, metrics, serial)
        api = Api(users, indexes, pages, about, serial, db.last_commit_at, lambda request: trusts(request.scope))
        status = Status(metrics, place.run, users, indexes, serial)

        def mounted(request: Request) -> str:
            return mount(request.scope, config.outside_url, trusted=trusts(request.scope))

        self._front = Front(
            SimplePages(pages, answers, place.run),
            FileAnswers(files, answers, metrics),
            answers,
            routes.build(api, status, pages, answers, mounted),
            outside_url=config.outside_url,
            trusts=trusts,
            timed=metrics.took,
            notice=db.news if config.workers > 1 else None,
        )
        self._place = place
        self._housekeeping = asyncio.ensure_future(self._keep_house())
        # The hottest statement is compiled now, not while the first client waits.
        db.glance(mirrors.held_file, IndexName(""), "")
        await indexes.all()

    async def close(self) -> None:
        """Close in reverse."""
        self._housekeeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._housekeeping
        await self.indexes.close()
        self._flush()
        self.db.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.open()
                except Exception as error:
                    log.exception("The worker cannot start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _keep_house(self) -> None:
        """Write the access log in batches, publish numbers, notice other workers' commits."""
        published_at = 0.0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self.db.news()
            self._flush()
            if self._parent is not None and os.getppid() != self._parent:
                # Killed without a chance to tell us. An orphan would keep the port and the lock.
                log.error("The main process is gone, this worker ends")
                self._parent = None
                signal.raise_signal(signal.SIGTERM)
            if time.monotonic() - published_at > PUBLISH_S and self.config.workers > 1:
                published_at = time.monotonic()
                await asyncio.to_thread(self.metrics.publish, self._place.run)

    def _flush(self) -> None:
        lines = self.answers.drain_log()
        if lines and self.config.access_log:
            text = "".join(
                f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))},{int(at % 1 * 1000):03d} INFO  "
                f"{method} {path if path.isprintable() else ascii(path)} {status}\n"
                for at, method, path, status in lines
            )
            sys.stdout.write(text)
            sys.stdout.flush()
