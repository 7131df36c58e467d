"""SQL for the disk's upkeep: what is held and since when unused, what refers to which blob, who uses how much."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Column, Connection, Select, bindparam, delete, func, select, update

from stilton.db.database import Transaction
from stilton.db.schema import files, held, pins
from stilton.domain import changes
from stilton.domain.eviction import Cached
from stilton.domain.names import IndexName, ProjectName

# Whoever adds a column that names a blob adds it here, or the sweep removes those blobs.
_FILES_OF_STAGES = (files.c.digest, files.c.metadata_digest, files.c.provenance_digest)
_FILES_OF_MIRRORS = (held.c.digest, held.c.metadata_digest)

_LAST_USE = func.coalesce(held.c.used_at, held.c.fetched_at)
_MARK_USED = (
    update(held)
    .where(held.c.mirror == bindparam("m"), held.c.path == bindparam("p"))
    .values(used_at=bindparam("at"), uses=held.c.uses + bindparam("count"))
)


class Usage(msgspec.Struct, frozen=True):
    """Files of an index, or of one of its projects, that are on the disk, and their bytes. Metadata is not counted."""

    name: str
    files: int
    bytes: int


def mark_used(tx: Transaction, used: Mapping[tuple[str, str], int], *, at: float) -> None:
    """Files (mirror, path) were asked for so many times more, last at `at` (Unix seconds).

    Nothing that a reader sees: not in the log of changes.
    """
    rows = [{"m": mirror, "p": path, "at": at, "count": count} for (mirror, path), count in used.items()]
    tx.sql.execute(_MARK_USED, rows)


def cached_bytes(connection: Connection, mirror: IndexName) -> int:
    """How much a mirror holds."""
    return int(connection.scalar(select(func.coalesce(func.sum(held.c.size), 0)).where(held.c.mirror == mirror)) or 0)


def used_least(connection: Connection, mirror: IndexName) -> float | None:
    """When the file that nobody asks for was last used; None when nothing is held. Unix seconds."""
    at: float | None = connection.scalar(select(func.min(_LAST_USE)).where(held.c.mirror == mirror))
    return at


def cached(connection: Connection, mirror: IndexName) -> list[Cached]:
    """All that a mirror holds."""
    pinned = (pins.c.mirror == held.c.mirror) & (pins.c.path == held.c.path)
    statement = (
        select(held.c.path, held.c.project, held.c.digest, held.c.size, _LAST_USE, pins.c.at.is_not(None))
        .join_from(held, pins, pinned, isouter=True)
        .where(held.c.mirror == mirror)
    )
    return [Cached(*row) for row in connection.execute(statement)]


def let_go(tx: Transaction, mirror: IndexName, gone: Sequence[Cached]) -> list[Cached]:
    """Hold these files no more, except those that were used or pinned meanwhile; which went."""
    went = [file for file in gone if _still(tx.sql, mirror, file)]
    for file in went:
        tx.sql.execute(delete(held).where(held.c.mirror == mirror, held.c.path == file.path))
        tx.note(changes.of_project(mirror, ProjectName(file.project)))
    return went


def references(connection: Connection, first: str) -> set[str]:
    """All digests beginning with the hex digit `first` that something refers to: files, metadata, provenance."""
    found: set[str] = set()
    for column in (*_FILES_OF_STAGES, *_FILES_OF_MIRRORS):
        statement = _there(column).where(column >= first, column < _after(first))
        found.update(connection.scalars(statement))
    return found


def referenced(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Which of some hundred digests anything refers to."""
    found: set[str] = set()
    for column in (*_FILES_OF_STAGES, *_FILES_OF_MIRRORS):
        found.update(connection.scalars(_there(column).where(column.in_(digests))))
    return found


def usage(connection: Connection) -> list[Usage]:
    """What each index keeps, the largest first."""
    of_stages = select(files.c.stage, func.count(), func.sum(files.c.size)).where(files.c.gone_at.is_(None))
    of_mirrors = select(held.c.mirror, func.count(), func.sum(held.c.size)).where(held.c.digest.is_not(None))
    rows = [
        *connection.execute(of_stages.group_by(files.c.stage)),
        *connection.execute(of_mirrors.group_by(held.c.mirror)),
    ]
    return sorted((Usage(*row) for row in rows), key=lambda one: -one.bytes)


def project_usage(connection: Connection, index: IndexName, most: int) -> list[Usage]:
    """What each project of an index keeps, the largest first; `most` of them."""
    of_stage = select(files.c.project, func.count(), func.sum(files.c.size).label("b"))
    of_mirror = select(held.c.project, func.count(), func.sum(held.c.size).label("b"))
    statements = (
        of_stage.where(files.c.stage == index, files.c.gone_at.is_(None)).group_by(files.c.project),
        of_mirror.where(held.c.mirror == index, held.c.digest.is_not(None)).group_by(held.c.project),
    )
    rows = [Usage(*row) for each in statements for row in connection.execute(each)]
    return sorted(rows, key=lambda one: (-one.bytes, one.name))[:most]


def _still(connection: Connection, mirror: IndexName, file: Cached) -> bool:
    known = select(_LAST_USE).where(held.c.mirror == mirror, held.c.path == file.path)
    pinned = select(pins.c.at).where(pins.c.mirror == mirror, pins.c.path == file.path)
    return connection.scalar(known) == file.used_at and connection.scalar(pinned) is None


def _there(column: Column[str]) -> Select[str]:
    """Values of a column that names blobs; a removed file is remembered, its bytes are not."""
    statement: Select[str] = select(column)
    return statement.where(files.c.gone_at.is_(None)) if column.table is files else statement


def _after(first: str) -> str:
    return chr(ord(first) + 1)
