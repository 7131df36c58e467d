"""Retention: volatile indexes let superseded development releases go (`domain.retention` decides which).

They are removed as a person removes them: their URLs say 410, and the name of a project stays private.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from stilton.db import accounts, audit, stages
from stilton.db.database import Database, Transaction
from stilton.domain import retention
from stilton.domain.audit import Event
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from stilton.publish import shelf

log = logging.getLogger(__name__)

RELEASES_A_STEP = 5
"""Removed in one transaction, so that uploads wait for no more than some."""
MOST_SHOWN = 1000


class Superseded(msgspec.Struct, frozen=True):
    """A release that goes. `bytes`: of its files, documentation and test results."""

    project: ProjectName
    version: str
    files: int
    bytes: int


class Due(msgspec.Struct, frozen=True):
    """What would go. `keep`: by which rule. `releases`: the first of them; the numbers are of all. In bytes."""

    keep: int | None
    count: int
    bytes: int
    releases: list[Superseded]


class Retention:
    """For those who want to see what a rule does, before it does it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def due(self, index: Index, keep: int | None) -> Due:
        """What goes from `index` at the next round, or would if it kept `keep`. Removes nothing."""
        found = await self._db.read(due, index, keep)
        rule = retention.kept(index.keys) if keep is None else keep
        return Due(rule, len(found), sum(one.bytes for one in found), found[:MOST_SHOWN])


def due(connection: Any, index: Index, keep: int | None) -> list[Superseded]:  # noqa: ANN401 - a tool's type
    """What goes from `index` now, when it keeps `keep` development releases of a project; None: its own rule."""
    keep = retention.kept(index.keys) if keep is None else keep
    if keep is None or index.is_mirror:
        return []
    found: list[Superseded] = []
    stage = index.full_name
    for project in stages.names(connection, stage):
        gone = retention.superseded(stages.versions(connection, stage, project), keep)
        files = stages.project_files(connection, stage, project) if gone else []
        for version in gone:
            sizes = [file.size for file in files if file.version == version]
            found.append(Superseded(project, version, len(sizes), sum(sizes)))
    return found


async def retain(
    db: Database, now: Callable[[], float], projects: Iterable[tuple[IndexName, ProjectName]] | None = None
) -> int:
    """Apply the rules of all indexes to these projects, or to all; how many releases went."""
    rules = {index.full_name for index in await db.read(accounts.all_indexes) if retention.kept(index.keys) is not None}
    count = 0
    if projects is None:
        projects = [(stage, name) for stage in sorted(rules) for name in await db.read(stages.names, stage)]
    for stage, project in projects:
        while stage in rules and (gone := await db.record(_step, stage, project, now())):
            count += len(gone)
            log.info("Retention removed %s of %s from %s", ", ".join(gone), project, stage)
    return count


def _step(tx: Transaction, stage: IndexName, project: ProjectName, now: float) -> list[str]:
    """As things are in this transaction: the rule may have changed, and newer releases may be gone."""
    index = accounts.index(tx.sql, *stage.split("/"))
    keep = None if index is None else retention.kept(index.keys)
    if keep is None:
        return []
    gone = retention.superseded(stages.versions(tx.sql, stage, project), keep)[:RELEASES_A_STEP]
    for version in gone:
        shelf.take_release(tx, stage, project, version, now=now)
        audit.note(tx, Event("release.remove", f"{stage}/{project}/{version}", {"retain_dev_releases": keep}))
    return gone
