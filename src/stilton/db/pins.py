"""SQL for pins: held files that no eviction may take."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from stilton.db.database import Transaction
from stilton.db.schema import held, pins, upsert
from stilton.domain.names import IndexName, ProjectName

_PIN = upsert(pins)


class Pin(msgspec.Struct, frozen=True):
    """One pinned file. `path`: below the index. `at`: Unix seconds."""

    path: str
    reason: str
    at: float


def of_mirror(connection: Connection, mirror: IndexName) -> list[Pin]:
    """All pins of a mirror, by path."""
    statement = select(pins.c.path, pins.c.reason, pins.c.at).where(pins.c.mirror == mirror).order_by(pins.c.path)
    return [Pin(*row) for row in connection.execute(statement)]


def held_paths(connection: Connection, mirror: IndexName, project: ProjectName | None) -> list[str]:
    """Where the files of a project are that a mirror holds; None: of all projects."""
    statement = select(held.c.path).where(held.c.mirror == mirror)
    if project is not None:
        statement = statement.where(held.c.project == project)
    return list(connection.scalars(statement.order_by(held.c.path)))


def put(tx: Transaction, mirror: IndexName, paths: Sequence[str], *, reason: str, at: float) -> None:
    """Pin files; those that are pinned already get the new reason."""
    if paths:
        tx.sql.execute(_PIN, [{"mirror": mirror, "path": path, "reason": reason, "at": at} for path in paths])


def drop(tx: Transaction, mirror: IndexName, paths: Sequence[str]) -> int:
    """Let eviction take these files again; how many were pinned."""
    counts = [
        tx.sql.execute(delete(pins).where(pins.c.mirror == mirror, pins.c.path == path)).rowcount for path in paths
    ]
    return sum(counts)
