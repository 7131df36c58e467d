"""What hangs together, in plain sight: one worker's tools, work and doors.

`build(config)` opens nothing; the returned App opens on ASGI's lifespan startup,
in the order it is written here, and closes in reverse. Nothing happens at import.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from stilton import logs
from stilton.accounts.audit import AuditLog
from stilton.accounts.concerns import Concerns
from stilton.accounts.indexes import IndexAdmin
from stilton.accounts.login import Login
from stilton.accounts.users import Users
from stilton.catalog.files import Files
from stilton.catalog.indexes import Indexes
from stilton.catalog.pages import Pages
from stilton.catalog.versions import Releases
from stilton.catalog.views import Views
from stilton.config import Config
from stilton.db import mirrors
from stilton.db.database import Database
from stilton.domain import permission
from stilton.domain.errors import Damaged, StiltonError, StorageTrouble
from stilton.domain.indexes import MirrorConfig
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Policy
from stilton.metrics import Metrics
from stilton.mirror.mirror import Mirror, Options
from stilton.publish.curate import Curation
from stilton.publish.push import Pushes
from stilton.publish.remove import Removals
from stilton.publish.results import TestResults
from stilton.publish.upload import Uploads
from stilton.serverdir import ServerDir
from stilton.upkeep.alarm import Alarm
from stilton.upkeep.keeper import Keeper
from stilton.upkeep.pins import Pins
from stilton.upkeep.report import Report
from stilton.upkeep.retain import Retention
from stilton.upkeep.space import Space
from stilton.upkeep.stock import Stock
from stilton.upstream.publisher import Publisher
from stilton.web import routes
from stilton.web.access import AccessLog
from stilton.web.accounts import Accounts
from stilton.web.api import About, Api
from stilton.web.asgi import Front
from stilton.web.audit import AuditAnswers
from stilton.web.auth import Auth
from stilton.web.files import FileAnswers, Handover
from stilton.web.http import Answers, Receive, Scope, Send
from stilton.web.projects import Projects
from stilton.web.simple import SimplePages
from stilton.web.status import Status
from stilton.web.upkeep import UpkeepAnswers
from stilton.web.uploads import UploadAnswers
from stilton.web.urls import Here
from stilton.web.visitors import Visitors
from stilton.web.wall import Wall

log = logging.getLogger(__name__)

HOUSEKEEPING_S = 0.1
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SWITCH_S = 0.0005
THREADS = 12
PUBLISH_S = 1.0


class App:
    """One worker. Call it as an ASGI app; it opens on `lifespan.startup`.

    `secret`: what signs logins, the same in every worker; None: one of its own.
    `parent`: process id of who watches this worker; when that one is gone, the worker ends.
    """

    def __init__(
        self,
        config: Config,
        *,
        secret: bytes | None = None,
        now: Callable[[], float] = time.time,
        parent: int | None = None,
    ) -> None:
        self.config = config
        self._secret = secret or secrets.token_bytes(32)
        self._parent = parent
        self._now = now
        self._write_access = logs.access(config)
        self._front: Front | None = None
        self._looking: asyncio.Task[None] | None = None

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
        self.alarm = Alarm(self._now)
        self.db = db = Database(place.database, now=self._now, alarm=self.alarm.raised)
        blobs = place.blobs
        options = Options(
            request_timeout_s=config.request_timeout,
            offline=config.offline_mode,
            held_only_when_down=config.offline_fallback,
            read_ahead=config.read_ahead,
        )

        self.space = space = Space(config.serverdir, config.min_free_disk)

        def mirror(mirror_config: MirrorConfig) -> Mirror:
            return Mirror(
                mirror_config,
                options,
                db,
                blobs,
                metrics,
                self._now,
                indexes.keeps_private,
                has_room=space.has_room,
            )

        policy = permission.policy(config.restrict_modify, require_login=config.require_login)
        self.login = login = Login(db, self._secret, self._now)
        users = Users(db, login, policy, self._now)
        self.concerns = Concerns(login, users, config.restrict_modify, is_reached=_is_reached(config))
        self.indexes = indexes = Indexes(
            db, mirror, policy, cache_expiry_s=config.mirror_cache_expiry, internal_networks=config.internal_networks
        )
        views = Views(indexes, db, self._now)
        self.pages = pages = Pages(indexes, views, db, self._now)
        self.files = files = Files(indexes, db, blobs)
        releases = Releases(indexes, views, db)
        uploads = Uploads(db, blobs, indexes, policy, metrics, self._now)
        publisher = Publisher(config.internal_networks, offline=config.offline_mode)
        pushes = Pushes(
            db, blobs, indexes, files, releases,
            policy=policy, publisher=publisher, metrics=metrics, now=self._now,
        )  # fmt: skip

        db.on_commit(self._forget)
        self.report = Report(db, space, place.run / "last-sweep.json", self._now)
        self.keeper = Keeper(
            db, blobs, space, self.report, lock=place.run / "keeper.lock", may_go=self._can_fetch, now=self._now
        )
        db.on_commit(self.keeper.noticed)
        indexes.on_upstream_change(lambda _: pages.forget_all())
        self._place = place
        self._hang_doors(policy, users, releases, uploads, pushes)
        self._housekeeping = asyncio.ensure_future(self._keep_house())
        self._keeping = asyncio.ensure_future(self.keeper.run())
        await self._warm_up()

    def _forget(self, entities: list[str]) -> None:
        """What was made from these is not right any more (`domain.changes`)."""
        for entity in entities:
            self.concerns.noticed(entity)
            kind, _, name = entity.partition(":")
            if kind == "index":
                self.indexes.forget()
                self.pages.forget_all()
                self.files.forget_all()
            elif kind == "project":
                index, _, project = name.rpartition("/")
                self.pages.forget(ProjectName(project))
                self.files.forget(IndexName(index), ProjectName(project))
                self.indexes.forget_project(IndexName(index), ProjectName(project))

    def _can_fetch(self, mirror: IndexName) -> bool:
        """Whether what that mirror holds can be had again, so that it may go."""
        known = not self.config.offline_mode and self.indexes.is_mirror(mirror)
        return known and not self.indexes.mirror(mirror).is_down

    async def _warm_up(self) -> None:
        """The hottest statement is compiled now, not while the first client waits; indexes are known."""
        self.db.glance(mirrors.held_file, IndexName(""), "")
        await self.indexes.mirrors()

    def _hang_doors(self, policy: Policy, users: Users, releases: Releases, uploads: Uploads, pushes: Pushes) -> None:
        config, db, metrics, login = self.config, self.db, self.metrics, self.login
        indexes, pages, files = self.indexes, self.pages, self.files

        visitors = Visitors(config.trusted_proxy)

        def serial() -> int:
            return db.serial

        uuid = self._place.uuid()
        about = About(
            uuid=uuid, serverdir=str(config.serverdir), host=config.host, port=config.port,
            outside_url=config.outside_url, started_at=self._now(),
        )  # fmt: skip
        here = Here(config.outside_url, visitors.trusts)
        auth = Auth(login, visitors.address)
        wall = Wall(policy, auth)
        answers = Answers(uuid, metrics, serial, self.alarm.raised)
        self._access = AccessLog(visitors)
        api = Api(
            auth, wall, here, users, indexes, about,
            serial=serial, last_commit_at=db.last_commit_at, warnings=self._all_warnings, report=self.report,
        )  # fmt: skip
        status = Status(metrics, self._place.run, indexes, serial, self.space)
        projects = Projects(
            auth, here, indexes, pages, files, releases,
            removals=Removals(db, indexes, policy, self._now),
            curation=Curation(db, indexes, policy, self._now),
            results=TestResults(db, self._place.blobs, indexes, policy),
            pushes=pushes,
        )  # fmt: skip
        pins = Pins(db, indexes, policy, self._now)
        upkeep = UpkeepAnswers(auth, indexes, Stock(db, indexes, self._now), pins, Retention(db), self.report)
        accounts = Accounts(auth, login, users, IndexAdmin(db, policy), indexes, pages, usage=upkeep.usage)
        handover = Handover(config.serverdir / "blobs", visitors.trusts) if config.x_accel_redirect else None
        audit = AuditAnswers(auth, AuditLog(db, policy))
        upload_answers = UploadAnswers(auth, here, uploads, projects, limit_bytes=config.max_request_body_size)
        self._front = Front(
            SimplePages(auth, here, pages, answers, self._place.run, absolute=config.absolute_urls),
            FileAnswers(auth, files, answers, metrics, handover, used=self.keeper.uses.note),
            answers,
            routes.build(
                routes.table(api, status, accounts, projects, upload_answers, upkeep, audit, here=here), answers
            ),
            here,
            visitors=visitors,
            wall=wall,
            access=self._access,
            timed=metrics.took,
            notice=db.news if config.workers > 1 else None,
        )

    async def close(self) -> None:
        """Close in reverse."""
        for task in (self._keeping, self._housekeeping):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.indexes.close()
        self.login.close()
        self._flush()
        with contextlib.suppress(StorageTrouble):
            await self.keeper.close()
        self.db.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.open()
                except Exception as error:
                    # What was foreseen is said in a sentence, the rest with a traceback.
                    traceback = None if isinstance(error, StiltonError) else error
                    log.log(logging.ERROR, "The worker cannot start: %s", error, exc_info=traceback)
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _all_warnings(self) -> list[str]:
        return [*self.concerns.texts, *filter(None, (self.space.warning(), self.alarm.warning()))]

    async def _look_at_users(self) -> None:
        try:
            await self.concerns.look()
        except Damaged as error:
            self.alarm.raised(error)

    async def _keep_house(self) -> None:
        """Write the access log in batches, publish numbers, notice other workers' commits."""
        published_at = 0.0
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self._flush()
            self._look_at_parent()
            if self.concerns.is_due and (self._looking is None or self._looking.done()):
                self._looking = asyncio.ensure_future(self._look_at_users())
            try:
                self.db.news()
                if time.monotonic() - published_at > PUBLISH_S and self.config.workers > 1:
                    published_at = time.monotonic()
                    await asyncio.to_thread(self.metrics.publish, self._place.run)
            # A disk that is full now has room again some day, and this goes on until then.
            except StiltonError as error:
                self.alarm.raised(error)
            except OSError as error:
                self.alarm.raised(StorageTrouble("the numbers of /+metrics", error.strerror or str(error)))

    def _look_at_parent(self) -> None:
        """End when the main process was killed without a chance to tell us: an orphan would keep port and lock."""
        if self._parent is not None and os.getppid() != self._parent:
            log.error("The main process is gone, this worker ends")
            self._parent = None
            signal.raise_signal(signal.SIGTERM)

    def _flush(self) -> None:
        self._write_access(self._access.take())


def _is_reached(config: Config) -> bool:
    """Whether other machines reach this server, by itself or by what stands in front of it."""
    hosts = {address.rpartition(":")[0].strip("[]") for address in config.listen} or {config.host}
    return config.outside_url is not None or not hosts <= LOOPBACK
