"""Removals: a file, a release, a project, from a private index or from what a mirror holds.

What is removed is gone for clients at once; URLs of files say so (410). The name of a
removed private project stays private until its owner lets it go.
"""

import logging
from collections.abc import Callable

from stilton.catalog.indexes import Indexes
from stilton.db import audit, mirrors, stages
from stilton.db.database import Database, Transaction
from stilton.domain.audit import Event
from stilton.domain.errors import Denied, Gone, Missing
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName, version_of
from stilton.domain.permission import Actor, Policy, Right
from stilton.domain.publishing import same_version
from stilton.publish import shelf

log = logging.getLogger(__name__)


class Removals:
    """Removes things. `force` lifts the protection of non-volatile indexes."""

    def __init__(self, db: Database, indexes: Indexes, policy: Policy, now: Callable[[], float]) -> None:
        self._db = db
        self._indexes = indexes
        self._policy = policy
        self._now = now

    async def project(
        self, actor: Actor, user: str, name: str, project: ProjectName, *, force: bool, forget: bool
    ) -> str:
        """Remove a project; what was done. `forget`: its name is not private any more, either.

        Raises IndexNotFound, Denied, Missing.
        """
        index = await self._allowed(actor, user, name)
        stage = index.full_name
        if index.is_mirror:
            self._check_volatile(index, f"project {project!r} is on non-volatile index {stage}", force=force)
            event = Event("project.drop", f"{stage}/{project}")
            await self._db.record(audit.noting(event, _drop_project), stage, project)
            return _done(actor, f"project {project} deleted from stage {stage}")
        entry = self._db.glance(stages.project, stage, project)
        if entry is None or (entry.gone and not forget):
            raise Missing("project not found")
        if not entry.gone:
            self._check_volatile(index, f"project {project!r} is on non-volatile index {stage}", force=force)
        event = Event("project.remove", f"{stage}/{project}", {"forget": forget})
        await self._db.record(audit.noting(event, _project), stage, project, forget=forget, now=self._now())
        free = ", its name is free" if forget else ""
        return _done(actor, f"project {project} deleted from stage {stage}{free}")

    async def release(
        self, actor: Actor, user: str, name: str, project: ProjectName, version: str, *, force: bool
    ) -> str:
        """Remove a release; what was done. Raises IndexNotFound, Denied, Missing."""
        index = await self._allowed(actor, user, name)
        stage = index.full_name
        missing = Missing(f"version {version!r} of project {project!r} not found on stage {stage!r}")
        done = f"project {project!r} version {version!r} deleted"
        if index.is_mirror:
            held = self._db.glance(mirrors.held_files, stage, project)
            paths = [path for path in held if _is_of(path, project, version)]
            if not paths:
                raise missing
            self._check_volatile(index, "cannot delete version on non-volatile index", force=force)
            event = Event("release.drop", f"{stage}/{project}/{version}", {"files": [_name(path) for path in paths]})
            await self._db.record(audit.noting(event, mirrors.drop_files), stage, project, paths)
            return _done(actor, done, on=stage)
        release = self._db.glance(stages.release, stage, project, version)
        if release is None:
            raise missing
        self._check_volatile(index, "cannot delete version on non-volatile index", force=force)
        event = Event("release.remove", f"{stage}/{project}/{release.version}")
        take = audit.noting(event, shelf.take_release)
        await self._db.record(take, stage, project, release.version, now=self._now())
        return _done(actor, done, on=stage)

    async def file(self, actor: Actor, user: str, name: str, path: str, *, force: bool) -> str:
        """Remove a file; what was done. Raises IndexNotFound, Denied, Missing, Gone."""
        index = await self._allowed(actor, user, name)
        stage = index.full_name
        relative = f"{stage}/{path}"
        if index.is_mirror:
            held = self._db.glance(mirrors.held_file, stage, path)
            if held is None:
                raise Missing(f"package {relative!r} doesn't exist")
            self._check_volatile(index, "cannot delete version on non-volatile index", force=force)
            event = Event("file.drop", f"{stage}/{held.project}/{_name(path)}")
            await self._db.record(audit.noting(event, mirrors.drop_files), stage, held.project, [path])
            return _done(actor, f"package {relative!r} deleted")
        entry = self._db.glance(stages.file, stage, path)
        if entry is None:
            raise Missing(f"package {relative!r} doesn't exist")
        if entry.gone_at is not None:
            raise Gone(relative)
        self._check_volatile(index, "cannot delete version on non-volatile index", force=force)
        event = Event("file.remove", f"{stage}/{entry.project}/{entry.version}/{entry.filename}")
        await self._db.record(audit.noting(event, shelf.take_file), stage, entry, now=self._now())
        return _done(actor, f"package {relative!r} deleted")

    async def _allowed(self, actor: Actor, user: str, name: str) -> Index:
        index = await self._indexes.known(user, name)
        if not self._policy.may(actor, Right.DELETE, index):
            await self._indexes.readable(actor, user, name)
            raise Denied(f"no permission to remove from {index.full_name}", login=actor.name is None)
        return index

    def _check_volatile(self, index: Index, message: str, *, force: bool) -> None:
        if not index.is_volatile and not force:
            raise Denied(message)


def _done(actor: Actor, text: str, *, on: str | None = None) -> str:
    log.info("%s: %s%s", actor.name, text, f" on {on}" if on else "")
    return text


def _project(tx: Transaction, stage: IndexName, project: ProjectName, *, forget: bool, now: float) -> None:
    shelf.take_project(tx, stage, project, now=now)
    if forget:
        stages.forget_project(tx, stage, project)


def _drop_project(tx: Transaction, mirror: IndexName, project: ProjectName) -> None:
    if not mirrors.drop_project(tx, mirror, project):
        raise Missing("project not found")


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_of(path: str, project: ProjectName, version: str) -> bool:
    stated = version_of(_name(path), project)
    return stated is not None and same_version(stated, version)
