"""SQL for the audit log: who changed what, when, from where. Rows are only added, never changed or removed.

A row is written in the transaction of its change: neither is there without the other.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select

from stilton.db.database import Transaction
from stilton.db.schema import audit
from stilton.domain.audit import Entry, Event, Wanted
from stilton.domain.redaction import redacted_parts

P = ParamSpec("P")
T = TypeVar("T")

_NOTE = insert(audit).inline()


def note(tx: Transaction, event: Event) -> None:
    """Add a row, with who, when and from where as the transaction knows it; of its texts, no secret."""
    tx.sql.execute(_NOTE, {
        "at": tx.at,
        "actor": tx.origin.actor,
        "address": tx.origin.address,
        "action": event.action,
        "target": event.target,
        "detail": json.dumps(redacted_parts(event.detail), default=str),
        "request": tx.origin.request,
    })  # fmt: skip


def noting(event: Event, work: Callable[Concatenate[Transaction, P], T]) -> Callable[Concatenate[Transaction, P], T]:
    """`work`, and a row when it changed something."""

    def noted(tx: Transaction, /, *args: P.args, **kwargs: P.kwargs) -> T:
        before = len(tx.changed)
        result = work(tx, *args, **kwargs)
        if len(tx.changed) > before:
            note(tx, event)
        return result

    return noted


def entries(connection: Connection, wanted: Wanted) -> list[Entry]:
    """The newest that are wanted, the newest first."""
    statement = select(audit).order_by(audit.c.id.desc()).limit(wanted.limit)
    if wanted.before is not None:
        statement = statement.where(audit.c.id < wanted.before)
    if wanted.actor is not None:
        statement = statement.where(audit.c.actor == wanted.actor if wanted.actor else audit.c.actor.is_(None))
    if wanted.target:
        # No LIKE: names may have its wildcards.
        statement = statement.where(func.substr(audit.c.target, 1, len(wanted.target)) == wanted.target)
    if wanted.action is not None:
        statement = statement.where(audit.c.action == wanted.action)
    if wanted.since is not None:
        statement = statement.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(audit.c.at < wanted.until)
    return [_entry(row) for row in connection.execute(statement).mappings()]


def all_entries(connection: Connection) -> Iterator[Entry]:
    """Every entry, the oldest first."""
    rows = connection.execution_options(yield_per=1000).execute(select(audit).order_by(audit.c.id))
    return map(_entry, rows.mappings())


def put(tx: Transaction, old: Sequence[Entry]) -> None:
    """Add entries of another server's log, each as it was; they get numbers of this one."""
    if old:
        tx.sql.execute(_NOTE, [row(entry) for entry in old])


def row(entry: Entry) -> dict[str, Any]:
    """As a row, without its number."""
    return {**msgspec.structs.asdict(entry), "id": None, "detail": json.dumps(entry.detail)}


def _entry(row: RowMapping) -> Entry:
    return Entry(**{**row, "detail": json.loads(row["detail"])})
