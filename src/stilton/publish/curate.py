"""What owners say about what is published: yanked (PEP 592), archived and so on (PEP 792). Nothing is removed."""

import logging
from collections.abc import Callable

import msgspec

from stilton.catalog.indexes import Indexes
from stilton.db import audit, stages
from stilton.db.database import Database, Transaction
from stilton.db.stages import HostedProject
from stilton.domain.audit import Event
from stilton.domain.errors import Denied, FileNotFound, Gone, Invalid, ProjectNotFound
from stilton.domain.files import STATUSES, Status
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Actor, Policy, Right
from stilton.publish import shelf

log = logging.getLogger(__name__)

MAX_REASON_CHARS = 1000


class Curation:
    """Marks releases, files and projects of private indexes; also of non-volatile ones."""

    def __init__(self, db: Database, indexes: Indexes, policy: Policy, now: Callable[[], float]) -> None:
        self._db = db
        self._indexes = indexes
        self._policy = policy
        self._now = now

    async def yank_release(
        self, actor: Actor, user: str, name: str, project: ProjectName, version: str, yanked: bool | str
    ) -> None:
        """Yank a release, with the reason when there is one, or take that back (False).

        Raises IndexNotFound, Denied, VersionNotFound, Invalid.
        """
        index = await self._allowed(actor, user, name)
        event = Event("release.yank", f"{index.full_name}/{project}/{version}", {"yanked": yanked})
        await self._db.record(audit.noting(event, shelf.yank), index.full_name, project, version, _reason(yanked))
        log.info("%s set yanked of %s %s on %s to %r", actor.name, project, version, index.full_name, yanked)

    async def yank_file(self, actor: Actor, user: str, name: str, path: str, yanked: bool | str) -> None:
        """The same for one file. Raises FileNotFound, Gone, else as `yank_release`."""
        index = await self._allowed(actor, user, name)
        await self._db.record(_yank_file, index.full_name, path, yanked)
        log.info("%s set yanked of %s/%s to %r", actor.name, index.full_name, path, yanked)

    async def set_status(
        self, actor: Actor, user: str, name: str, project: ProjectName, status: str, reason: str | None
    ) -> None:
        """Set a project's status: active, archived, deprecated or quarantined.

        Raises IndexNotFound, Denied, ProjectNotFound, Invalid.
        """
        index = await self._allowed(actor, user, name)
        if status not in STATUSES:
            raise Invalid(f"status {status[:50]!r}: say one of {', '.join(sorted(STATUSES))}")
        if reason is not None:
            _reason(reason)
        said = None if status == "active" and not reason else Status(status, reason or None)
        event = Event("project.status", f"{index.full_name}/{project}", {"status": status, "reason": reason})
        await self._db.record(audit.noting(event, _set_status), index.full_name, project, said, now=self._now())
        log.info("%s set the status of %s on %s to %s", actor.name, project, index.full_name, status)

    async def _allowed(self, actor: Actor, user: str, name: str) -> Index:
        index = await self._indexes.known(user, name)
        may = self._policy.may(actor, Right.DELETE, index)
        if not may:
            await self._indexes.readable(actor, user, name)
        if index.is_mirror:
            raise Invalid(f"{index.full_name} is a mirror: what it shows is its upstream's to say")
        if not may:
            raise Denied(f"no permission to change releases of {index.full_name}", login=actor.name is None)
        return index


def _reason(yanked: bool | str) -> str | None:
    """As it is stored: None when it is not yanked."""
    if yanked is False:
        return None
    reason = "" if yanked is True else yanked.strip()
    if len(reason) > MAX_REASON_CHARS or any(not char.isprintable() for char in reason):
        raise Invalid(f"a reason is one line of at most {MAX_REASON_CHARS} characters")
    return reason


def _yank_file(tx: Transaction, stage: IndexName, path: str, yanked: bool | str) -> None:
    file = stages.file(tx.sql, stage, path)
    if file is None:
        raise FileNotFound(path)
    if file.gone_at is not None:
        raise Gone(path)
    stages.put_file(tx, stage, msgspec.structs.replace(file, yanked=_reason(yanked)))
    target = f"{stage}/{file.project}/{file.version}/{file.filename}"
    audit.note(tx, Event("file.yank", target, {"yanked": yanked}))


def _set_status(tx: Transaction, stage: IndexName, project: ProjectName, status: Status | None, *, now: float) -> None:
    entry = stages.project(tx.sql, stage, project)
    if entry is None or entry.gone:
        raise ProjectNotFound(project, stage)
    stages.put_project(tx, stage, HostedProject(project, status, gone=False), now=now)
