"""What a dying disk does to a database."""

import contextlib
import sqlite3
from pathlib import Path


def overwrite(path: Path, table: str) -> None:
    """The first pages of a table and of its indexes are rubbish, all others are as they were."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = database.execute("PRAGMA page_size").fetchone()
        found = database.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", (table,)).fetchall()
    with path.open("r+b") as file:
        for (page,) in found:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)
