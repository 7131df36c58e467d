"""A server's folder while a dump is imported into it: nobody starts what is half there, and it can be taken up again.

Until it is finished it is marked as an import of this very dump (`serverdir.ServerDir.begin`).
"""

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine

from stilton.db import accounts, migrate
from stilton.db.database import Transaction, connect, write_now
from stilton.domain.errors import SetupError
from stilton.serverdir import ServerDir

ROOT = "root"


class Staging:
    """A new server at `path`. `resumed`: an earlier import of the same dump left something."""

    def __init__(self, path: Path) -> None:
        self._task = ""
        self.place = ServerDir(path)
        self.resumed = False

    def check_new(self) -> None:
        """Raises SetupError when a server is here already."""
        if self.place.has_data():
            raise SetupError(
                f"The path '{self.place.path}' already contains devpi-server data. An import makes a new server: "
                "name another --serverdir, or say --index USER/NAME to add a folder of release files to this one."
            )

    def expect(self, identity: str) -> None:
        """It is to be made from the dump of this identity; nothing is made yet. Raises SetupError when it cannot be."""
        self._task = f"import of the dump {identity}"
        self.place.check_begin(self._task)

    def open(self, fill: Sequence[Callable[[Transaction], None]], *, now: Callable[[], float]) -> Engine:
        """Begin what is expected, or go on; `fill`: who writes the first rows. Raises SetupError, StorageTrouble.

        The caller disposes of the engine.
        """
        self.place.begin(self._task, uuid.uuid4().hex)
        try:
            self.place.blobs.create()
            self.place.blobs.clear_incoming()
            migrate.upgrade(self.place.database)
        except OSError as error:
            raise SetupError(f"The folder {self.place.path} cannot be written: {error.strerror}.") from error
        engine = connect(self.place.database)
        self.resumed = write_now(engine, now, _is_begun, fill)
        return engine

    def finish(self) -> None:
        """It is a server's folder now. Raises SetupError."""
        try:
            self.place.finish()
        except OSError as error:
            raise SetupError(f"The folder {self.place.path} cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        """Let others have the folder. May be called twice."""
        self.place.unlock()


def _is_begun(tx: Transaction, fill: Sequence[Callable[[Transaction], None]]) -> bool:
    if accounts.pwhash(tx.sql, ROOT) is not None:
        return True
    for work in fill:
        work(tx)
    return False
