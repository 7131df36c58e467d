"""SQL for users and indexes."""

import json
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, delete, select

from stilton.db.database import Transaction
from stilton.db.schema import held, indexes, mirrored, pins, project_lists, upsert, users
from stilton.domain import changes
from stilton.domain.indexes import Index

_PWHASH = select(users.c.pwhash).where(users.c.name == bindparam("u"))


def pwhash(connection: Connection, user: str) -> str | None:
    """The hash of a user's password; None when there is no such user."""
    found: str | None = connection.scalar(_PWHASH, {"u": user})
    return found


def user_keys(connection: Connection, user: str) -> dict[str, Any] | None:
    """A user's keys without the password's hash; None when there is no such user."""
    text = connection.scalar(select(users.c["keys"]).where(users.c.name == user))
    return None if text is None else {"username": user, **json.loads(text)}


def all_users(connection: Connection) -> list[dict[str, Any]]:
    """Keys of every user, by name."""
    rows = connection.execute(select(users.c.name, users.c["keys"]).order_by(users.c.name))
    return [{"username": name, **json.loads(keys)} for name, keys in rows]


def put_user(tx: Transaction, user: str, pwhash: str, keys: dict[str, Any]) -> None:
    """Create a user, or replace what is known of him."""
    row = {"name": user, "pwhash": pwhash, "keys": json.dumps(keys)}
    tx.sql.execute(upsert(users), row)
    tx.note(changes.of_user(user))


def drop_user(tx: Transaction, user: str) -> None:
    """Remove a user. His indexes: `drop_index`."""
    tx.sql.execute(delete(users).where(users.c.name == user))
    tx.note(changes.of_user(user))


def index(connection: Connection, user: str, name: str) -> Index | None:
    """One index; None when there is none."""
    statement = select(indexes).where(indexes.c.user == user, indexes.c.name == name)
    row = connection.execute(statement).mappings().first()
    return None if row is None else _index(row)


def indexes_of(connection: Connection, user: str) -> list[Index]:
    """A user's indexes, by name."""
    statement = select(indexes).where(indexes.c.user == user).order_by(indexes.c.name)
    return [_index(row) for row in connection.execute(statement).mappings()]


def all_indexes(connection: Connection) -> list[Index]:
    """Every index, by user and name."""
    statement = select(indexes).order_by(indexes.c.user, indexes.c.name)
    return [_index(row) for row in connection.execute(statement).mappings()]


def put_index(tx: Transaction, entry: Index) -> None:
    """Create an index, or replace its configuration."""
    row = {"user": entry.user, "name": entry.name, "keys": json.dumps(entry.keys)}
    tx.sql.execute(upsert(indexes), row)
    tx.note(changes.of_index(entry.full_name))


def drop_index(tx: Transaction, entry: Index) -> None:
    """Remove an index and what it mirrored. What was published on it: `db.stages.drop_index`."""
    tx.sql.execute(delete(indexes).where(indexes.c.user == entry.user, indexes.c.name == entry.name))
    for table in (mirrored, held, pins, project_lists):
        tx.sql.execute(delete(table).where(table.c.mirror == entry.full_name))
    tx.note(changes.of_index(entry.full_name))


def _index(row: RowMapping) -> Index:
    return Index(row["user"], row["name"], json.loads(row["keys"]))
