"""Copies of a database file as it was at one moment, and which blobs such a copy refers to.

Schemas of every version are read here, so it is plain sqlite3 and no table of `db.schema`. Every column
whose name ends with `digest` names a blob; a test compares that with what the sweep goes by.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stilton.db import trouble
from stilton.domain.errors import Damaged, StorageTrouble

OWNERS = 0o600
"""Permissions of a database: password hashes are in it. SQLite gives its log the same."""
PAGES_A_STEP = 4096
"""16 MB, between two of which an interrupt is heard."""


def take(database: Path, target: Path) -> None:
    """Make `target` the database as it is now: one file, whole or absent. Whoever writes goes on writing.

    Raises StorageTrouble, and Damaged when the database is.
    """
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        partial.touch(OWNERS, exist_ok=False)
        with partial.open("rb") as file:
            with trouble.told(database.name, target.name), reading(database) as source:
                _copy(source, partial)
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise StorageTrouble(target.name, error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write; also on a disk that cannot be written. Raises sqlite3.DatabaseError."""
    uri = f"{database.as_uri()}?mode=ro"
    log = database.with_name(database.name + "-wal")
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)))
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            # SQLite finds no place there for the memory that its processes share; without a log it needs none.
            if not database.exists() or (log.exists() and log.stat().st_size):
                raise
            uri += "&immutable=1"
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)))
        yield connection


def leave_mirrors(path: Path) -> tuple[int, int]:
    """Forget in a copy what mirrors held and nobody pinned: how many files, how many bytes. Raises StorageTrouble."""
    with trouble.told(path.name, path.name), contextlib.closing(_writing(path)) as database:
        database.execute("BEGIN")
        unpinned = "1"
        if "pins" in _tables(database):
            unpinned = "(mirror, path) NOT IN (SELECT mirror, path FROM pins)"
        count, size = database.execute(
            f"SELECT count(digest), coalesce(sum(size), 0) FROM held WHERE {unpinned}"  # noqa: S608 - ours
        ).fetchone()
        database.execute(f"DELETE FROM held WHERE {unpinned}")  # noqa: S608 - ours
        database.execute("COMMIT")
    return count, size


def blobs(path: Path) -> Iterator[str]:
    """The sha256 of every blob that a copy refers to, once each, sorted."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        wanted = [_naming(table, column, columns) for table, columns in _tables(database).items() for column in columns]
        for (digest,) in database.execute(" UNION ".join(filter(None, wanted)) + " ORDER BY 1"):
            yield digest


def names(path: Path, digest: str) -> list[str]:
    """What people call a blob: INDEX/PATH of the files of a copy that have it."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        found: list[str] = []
        for table, owner in (("files", "stage"), ("held", "mirror")):
            columns = [column for column in _tables(database).get(table, ()) if column.endswith("digest")]
            for column in columns:
                rows = database.execute(f"SELECT {owner}, path FROM {table} WHERE {column} = ?", (digest,))  # noqa: S608 - ours
                found += [f"{index}/{file}" for index, file in rows]
    return found


def _copy(source: sqlite3.Connection, target: Path) -> None:
    """All pages as of one moment: an open read transaction is what a writer's commit does not start anew.

    Raises Damaged.
    """
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with contextlib.closing(_writing(target)) as copy:
        source.backup(copy, pages=PAGES_A_STEP)
        # One file without a log beside it: it has one sha256, and opens on a disk that cannot be written.
        copy.execute("PRAGMA journal_mode = DELETE")
        said = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
    if said != "ok":
        raise Damaged("the database", " ".join(said.split()))


def _writing(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _tables(database: sqlite3.Connection) -> dict[str, list[str]]:
    """Columns by table."""
    rows = database.execute(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
    )
    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return found


def _naming(table: str, column: str, columns: list[str]) -> str:
    """A statement for the blobs that a column names; nothing for another column."""
    if not column.endswith("digest"):
        return ""
    # A removed file is remembered, its bytes are not.
    there = " AND gone_at IS NULL" if "gone_at" in columns else ""
    return f'SELECT "{column}" FROM "{table}" WHERE "{column}" != \'\'{there}'  # noqa: S608 - names of the schema
