"""What SQLite's errors mean: the one place where they become ours.

| SQLite says                                  | here            |
|----------------------------------------------|-----------------|
| FULL                                         | StorageFull     |
| CORRUPT, NOTADB, IOERR while reading         | Damaged         |
| READONLY, CANTOPEN, BUSY, PERM, other IOERRs | StorageTrouble  |
| anything else: a mistake of this program     | stays as it is  |
"""

import contextlib
import sqlite3
from collections.abc import Iterator

from stilton.domain.errors import Damaged, StiltonError, StorageFull, StorageTrouble

CHANGE = "a change of the database"

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREADABLE = {
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_DATA,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
}
_REFUSED = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_PERM,
}
_PRIMARY = 0xFF
"""The lowest byte of an extended result code says which kind it is (sqlite.org/rescode)."""


def meaning(error: BaseException, database: str, what: str = CHANGE) -> StiltonError | None:
    """`error` of SQLite as one of ours; None when it is something else. `database`: its name, for people.

    `what`: what was to be stored.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None:
        return None
    if code in _UNREADABLE or code & _PRIMARY in _DAMAGE:
        return Damaged(f"the database {database}", str(error))
    if code & _PRIMARY == sqlite3.SQLITE_FULL:
        return StorageFull(what)
    return StorageTrouble(what, str(error)) if code & _PRIMARY in _REFUSED else None


@contextlib.contextmanager
def told(database: str, what: str = CHANGE) -> Iterator[None]:
    """Raises Damaged, StorageTrouble for what SQLite says inside."""
    try:
        yield
    except sqlite3.Error as error:
        meant = meaning(error, database, what)
        if meant is None:
            raise
        raise meant from error
