"""SQL for everything of an index at once: what an import found done before, what an export writes."""

import json
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from stilton.db.schema import changes, files, held, pins, projects, releases
from stilton.domain.files import Status
from stilton.domain.holdings import Held
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.publishing import Kind, Release, StageFile

Identity = tuple[str, str, str]
"""Project, kind (`domain.publishing.Kind`), file name."""


class Listed(msgspec.Struct, frozen=True):
    """A private index's project. `gone_at`: Unix seconds, when only its name is left."""

    name: ProjectName
    status: Status | None
    gone_at: float | None


class Cached(msgspec.Struct, frozen=True):
    """A mirror's file that is here. `fetched_at`, `used_at`: Unix seconds. `uses`: how many. `pinned`: why it is."""

    path: str
    project: ProjectName
    held: Held
    last_modified: str | None
    fetched_at: float
    used_at: float | None
    uses: int
    pinned: str | None


def published(connection: Connection, stage: IndexName) -> set[Identity]:
    """Which files a private index has."""
    statement = select(files.c.project, files.c.kind, files.c.filename)
    rows = connection.execute(statement.where(files.c.stage == stage, files.c.gone_at.is_(None)))
    return {(row.project, row.kind, row.filename) for row in rows}


def paths(connection: Connection, stage: IndexName) -> set[str]:
    """Where a private index has files, below it."""
    return set(connection.scalars(select(files.c.path).where(files.c.stage == stage, files.c.gone_at.is_(None))))


def cached(connection: Connection, mirror: IndexName) -> set[Identity]:
    """Which files a mirror has."""
    rows = connection.execute(select(held.c.project, held.c.path).where(_kept_by(mirror)))
    return {(row.project, Kind.RELEASE.value, row.path.rpartition("/")[2]) for row in rows}


def projects_of(connection: Connection, stage: IndexName) -> list[Listed]:
    """A private index's projects, by name; also those of which only the name is left."""
    rows = connection.execute(select(projects).where(projects.c.stage == stage).order_by(projects.c.project))
    return [
        Listed(row.project, Status(row.status, row.status_reason) if row.status else None, row.gone_at) for row in rows
    ]


def releases_of(connection: Connection, stage: IndexName) -> dict[ProjectName, list[Release]]:
    """Every release of a private index."""
    found: dict[ProjectName, list[Release]] = {}
    statement = select(releases).where(releases.c.stage == stage).order_by(releases.c.project, releases.c.version)
    for row in connection.execute(statement).mappings():
        release = Release(row["version"], json.loads(row["keys"]), row["yanked"])
        found.setdefault(ProjectName(row["project"]), []).append(release)
    return found


def files_of(connection: Connection, stage: IndexName) -> list[StageFile]:
    """Every file of a private index, the oldest first; also those that are gone."""
    statement = select(files).where(files.c.stage == stage)
    found: list[StageFile] = []
    for row in connection.execute(statement.order_by(files.c.project, files.c.uploaded_at, files.c.path)).mappings():
        known: dict[str, Any] = {key: row[key] for key in row if key != "stage"}
        found.append(StageFile(**{**known, "kind": Kind(row["kind"]), "log": json.loads(row["log"])}))
    return found


def cached_of(
    connection: Connection,
    mirror: IndexName,
    project: ProjectName | None = None,
    *,
    unused_since: float | None = None,
    after: str = "",
    most: int = -1,
) -> list[Cached]:
    """Files that a mirror keeps, by path.

    `unused_since`: Unix seconds; only those that nobody asked for since. `most`: so many, -1 is all.
    """
    pinned = (pins.c.mirror == held.c.mirror) & (pins.c.path == held.c.path)
    statement = select(held, pins.c.reason).join_from(held, pins, pinned, isouter=True).where(_kept_by(mirror))
    if project is not None:
        statement = statement.where(held.c.project == project)
    if unused_since is not None:
        statement = statement.where(func.coalesce(held.c.used_at, held.c.fetched_at) <= unused_since)
    statement = statement.where(held.c.path > after).order_by(held.c.path).limit(most)
    return [_cached(row) for row in connection.execute(statement).mappings()]


def last_serial(connection: Connection) -> int:
    """Number of the last commit."""
    return int(connection.scalar(select(func.max(changes.c.serial))) or 0)


def _cached(row: RowMapping) -> Cached:
    return Cached(
        path=row["path"],
        project=ProjectName(row["project"]),
        held=Held(digest=row["digest"], size=row["size"], metadata_digest=row["metadata_digest"]),
        last_modified=row["last_modified"],
        fetched_at=row["fetched_at"],
        used_at=row["used_at"],
        uses=row["uses"],
        pinned=row["reason"],
    )


def _kept_by(mirror: IndexName) -> ColumnElement[bool]:
    return (held.c.mirror == mirror) & held.c.digest.is_not(None)
