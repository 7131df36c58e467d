"""Bring a database file to this program's schema, when a person says so; refuse one from a newer program.

Alembic and SQLAlchemy are imported only when there is something to do: they would
double the time to the first answer and the memory of the process that watches workers.
"""

import contextlib
import os
import sqlite3
from pathlib import Path

from stilton.db import snapshots
from stilton.domain.errors import SetupError

HEAD = "0004"
"""The newest revision in `migrations/versions`; a test compares."""

WHOSE = "Is this the user whom the folder belongs to?"

KEPT = 2
"""Databases as they were before a migration, which stay beside the present one."""


def version(path: Path) -> str | None:
    """Revision of the database at `path`; None when it has no schema. Raises SetupError."""
    if not path.exists():
        raise SetupError(f"The database {path} is missing. Restore it from a backup; the files beside it are whole.")
    try:
        with snapshots.reading(path) as database:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        advice = "" if os.access(path, os.R_OK) else f" {WHOSE}"
        raise SetupError(f"The database {path} cannot be opened: {error}.{advice}") from error
    except sqlite3.DatabaseError as error:
        raise SetupError(
            f"The database {path} is damaged ({error}). Restore it from a backup; the files beside it are whole."
        ) from error
    else:
        return None if row is None else str(row[0])


def readable(path: Path) -> str:
    """Revision of a database that this program can read, perhaps an older one. Raises SetupError."""
    found = version(path)
    if found is None:
        raise SetupError(f"The database {path} is empty. Restore it from a backup; the files beside it are whole.")
    refuse_newer(path, found)
    return found


def check(path: Path) -> None:
    """Raises SetupError unless the database has this program's schema; the message says what to do."""
    found = readable(path)
    if found != HEAD:
        raise SetupError(
            f"The database {path} has version {found}, this program needs {HEAD}; nothing was changed.\n"
            f"Make a backup: devpi-backup --serverdir {path.parent} DIR\n"
            f"Then bring it up to date: devpi-server --serverdir {path.parent} --migrate"
        )
    _check_opens(path)


def check_whole(path: Path) -> None:
    """Raises SetupError when SQLite finds that pages of the database are damaged. Reads all of it."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            said = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        raise SetupError(f"The database {path} cannot be read: {error}.") from error
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise SetupError(
            f"The database {path} is damaged ({' '.join(said.split())}). Restore it from a backup; "
            "the files beside it are whole."
        )


def refuse_newer(path: Path, found: str) -> None:
    """Raises SetupError when `found` is the version of a newer program."""
    if found > HEAD:
        raise SetupError(
            f"The database {path} has version {found}, this program knows versions up to {HEAD}. "
            "Run the newer stilton that wrote it, or restore an older backup."
        )


def kept_before(path: Path) -> Path:
    """Where `bring_up` keeps the database at `path` as it was."""
    return path.with_name(f"before-{HEAD}.sqlite")


def bring_up(path: Path) -> str | None:
    """Migrate an older database, after a snapshot of it; its old version, None when nothing was to do.

    Raises SetupError when that does not work, StorageTrouble when the snapshot cannot be kept; it is as it was then.
    """
    found = version(path)
    if found is None or found >= HEAD:
        return None
    snapshots.take(path, kept_before(path))
    upgrade(path)
    for old in sorted(path.parent.glob("before-*.sqlite"))[:-KEPT]:
        old.unlink()
    return found


def upgrade(path: Path) -> None:
    """Create or migrate, in one transaction. Raises SetupError, OSError; the database is as it was then."""
    found = version(path) if path.exists() else None
    if found == HEAD:
        return
    if not path.exists():
        path.touch(snapshots.OWNERS)
    if found is not None:
        refuse_newer(path, found)
    from alembic import command  # noqa: PLC0415 - 0.2 s that most starts do not need
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from stilton.db.database import connect  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = connect(path)
    try:
        with engine.connect() as connection:
            # Ours: the driver would commit after each statement.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)
            connection.commit()
    except DBAPIError as error:
        raise SetupError(
            f"The database {path} could not be brought from version {found} to {HEAD}; it is as it was ({error.orig})."
        ) from error
    finally:
        engine.dispose()


def _check_opens(path: Path) -> None:
    """SQLite keeps files beside the database, also for those that only read."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            database.execute("SELECT count(*) FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        raise SetupError(
            f"The database {path} cannot be opened ({error}): may this user write to {path.parent}, "
            "and is the disk not mounted read-only? devpi-backup needs neither."
        ) from error
