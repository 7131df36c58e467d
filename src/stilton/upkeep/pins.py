"""Pins: files of a mirror that stay, however long nobody uses them. Set by the owner of the mirror."""

import logging
import re
from collections.abc import Callable, Sequence

import msgspec

from stilton.catalog.indexes import Indexes
from stilton.db import audit, pins
from stilton.db.database import Database, Transaction
from stilton.db.pins import Pin
from stilton.domain.audit import Event
from stilton.domain.errors import Denied, Invalid, Missing
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName, project_name, projects_of
from stilton.domain.permission import Actor, Policy, Right

log = logging.getLogger(__name__)

MOST = 10_000
MAX_REASON_CHARS = 200
NOTED = 100
"""So many paths of a change are in the audit log; it says how many there were."""
EVERYTHING = "*"
_PATH = re.compile(r"\+[ef]/[^\x00-\x1f\x7f]{1,500}")


class Wish(msgspec.Struct, frozen=True):
    """Which files: names of projects (`*`: all), and files by path below the mirror or by name."""

    projects: Sequence[str] = ()
    files: Sequence[str] = ()
    reason: str = "asked for"


class Pins:
    """Pins of all mirrors."""

    def __init__(self, db: Database, indexes: Indexes, policy: Policy, now: Callable[[], float]) -> None:
        self._db = db
        self._indexes = indexes
        self._policy = policy
        self._now = now

    async def all(self, actor: Actor, user: str, name: str) -> list[Pin]:
        """What is pinned on an index. Raises IndexNotFound, Denied."""
        index = await self._indexes.readable(actor, user, name)
        return await self._db.read(pins.of_mirror, index.full_name)

    async def put(self, actor: Actor, user: str, name: str, wish: Wish) -> int:
        """Pin files: those that a project holds now, or given ones; how many. All of them or none.

        A path may be of a file that is not held yet. Raises IndexNotFound, Denied, Invalid, Missing.
        """
        index = await self._owned(actor, user, name)
        paths = await self._paths(index.full_name, wish)
        await self._db.record(_put, index.full_name, paths, wish.reason, self._now())
        log.info("%s pinned %d files of %s", actor.name, len(paths), index.full_name)
        return len(paths)

    async def drop(self, actor: Actor, user: str, name: str, wish: Wish) -> int:
        """Take pins away; how many there were. Raises as `put`."""
        index = await self._owned(actor, user, name)
        if EVERYTHING in wish.projects:
            paths = [pin.path for pin in await self._db.read(pins.of_mirror, index.full_name)]
        else:
            paths = await self._paths(index.full_name, wish)
        count = await self._db.record(_drop, index.full_name, paths)
        log.info("%s unpinned %d files of %s", actor.name, count, index.full_name)
        return count

    async def _owned(self, actor: Actor, user: str, name: str) -> Index:
        index = await self._indexes.readable(actor, user, name)
        if not self._policy.may(actor, Right.MODIFY_INDEX, index):
            raise Denied(f"no permission to pin files of {index.full_name}", login=actor.name is None)
        if not index.is_mirror:
            raise Invalid(f"{index.full_name} is no mirror: nothing of it is evicted, so nothing needs a pin")
        return index

    async def _paths(self, mirror: IndexName, wish: Wish) -> list[str]:
        _check(wish)
        found: dict[str, None] = {}
        missing: list[str] = []
        for project in wish.projects:
            paths = await self._held(mirror, None if project == EVERYTHING else project_name(project))
            missing += [] if paths or project == EVERYTHING else [project]
            found |= dict.fromkeys(paths)
        for file in wish.files:
            paths = [file] if _PATH.fullmatch(file) else await self._named(mirror, file)
            missing += [] if paths else [file]
            found |= dict.fromkeys(paths)
        if missing:
            raise Missing(f"{mirror} holds nothing of {', '.join(missing[:10])}; install it first, or name its path")
        return list(found)

    async def _named(self, mirror: IndexName, filename: str) -> list[str]:
        held = [path for project in projects_of(filename) for path in await self._held(mirror, project)]
        return [path for path in held if path.rpartition("/")[2] == filename]

    async def _held(self, mirror: IndexName, project: ProjectName | None) -> list[str]:
        return await self._db.read(pins.held_paths, mirror, project)


def _put(tx: Transaction, mirror: IndexName, paths: list[str], reason: str, at: float) -> None:
    pins.put(tx, mirror, paths, reason=reason, at=at)
    if paths:
        audit.note(tx, Event("pins.put", mirror, {"files": paths[:NOTED], "count": len(paths), "reason": reason}))


def _drop(tx: Transaction, mirror: IndexName, paths: list[str]) -> int:
    count = pins.drop(tx, mirror, paths)
    if count:
        audit.note(tx, Event("pins.drop", mirror, {"files": paths[:NOTED], "count": count}))
    return count


def _check(wish: Wish) -> None:
    if not wish.projects and not wish.files:
        raise Invalid('say which: {"projects": ["numpy"], "files": ["+f/…/six-1.0-py3-none-any.whl"]}')
    if len(wish.projects) + len(wish.files) > MOST:
        raise Invalid(f"more than {MOST} names in one request")
    if len(wish.reason) > MAX_REASON_CHARS or not wish.reason.isprintable():
        raise Invalid(f"the reason is a line of at most {MAX_REASON_CHARS} characters")
