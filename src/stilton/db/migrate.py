"""Bring a database file to this program's schema; refuse one from a newer program.

Alembic and SQLAlchemy are imported only when there is something to do: they would
double the time to the first answer and the memory of the process that watches workers.
"""

import contextlib
import sqlite3
from pathlib import Path

from stilton.domain.errors import SetupError

HEAD = "0003"
"""The newest revision in `migrations/versions`; a test compares."""


def version(path: Path) -> str | None:
    """Revision of the database at `path`; None when it has no schema. Raises SetupError."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise SetupError(f"The database {path} cannot be opened: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise SetupError(
            f"The database {path} is damaged ({error}). Restore it from a backup; the files beside it are whole."
        ) from error
    else:
        return None if row is None else str(row[0])


def upgrade(path: Path) -> None:
    """Create or migrate. Raises SetupError when a newer program wrote the database."""
    found = version(path) if path.exists() else None
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise SetupError(
            f"The database {path} has version {found}, this program knows versions up to {HEAD}. "
            "Run the newer stilton that wrote it, or restore an older backup."
        )
    from alembic import command  # noqa: PLC0415 - 0.2 s that most starts do not need
    from alembic.config import Config  # noqa: PLC0415

    from stilton.db.database import connect  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = connect(path)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
        connection.commit()
    engine.dispose()
